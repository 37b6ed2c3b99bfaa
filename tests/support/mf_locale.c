/* Finds or builds a locale with a decimal comma. It exists because a build machine rarely has one
 * installed, and a test of the locale that does nothing proves nothing. */
#include "mf_locale.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

static char name[32];

static bool has_comma(int category, const char *wanted)
{
    if (setlocale(category, wanted) == NULL) {
        return false;
    }
    if (strcmp(localeconv()->decimal_point, ",") != 0) {
        (void)setlocale(category, "C");
        return false;
    }
    (void)snprintf(name, sizeof name, "%s", wanted);
    return true;
}

static bool build(void)
{
    char command[4096 + 80];
    const char *folder = mf_test_temp_dir();
    (void)snprintf(command, sizeof command,
                   "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    int status = system(command);       /* NOLINT: no text of a stranger */
    (void)setenv("LOCPATH", folder, 1); /* NOLINT: before threads */
    return status == 0;
}

bool mf_locale_enter(int category)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (has_comma(category, names[i])) {
            return true;
        }
    }
    if (build() && has_comma(category, names[0])) {
        return true;
    }
    mf_locale_leave(category);
    (void)fprintf(stderr, "no locale with a decimal comma: install the package locales\n");
    return false;
}

void mf_locale_leave(int category)
{
    (void)setlocale(category, "C");
    (void)unsetenv("LOCPATH"); /* NOLINT: no other thread reads it */
    name[0] = '\0';
}

const char *mf_locale_name(void)
{
    return name;
}
