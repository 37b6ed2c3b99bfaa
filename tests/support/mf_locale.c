/* Finds or builds a locale with a decimal comma, or a Turkish one. It exists because a build
 * machine rarely has one installed, and a test of the locale that does nothing proves nothing. */
#include "mf_locale.h"

#include <ctype.h>
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

static bool build(const char *language, const char *charset, const char *as)
{
    char command[4096 + 80];
    const char *folder = mf_test_temp_dir();
    (void)snprintf(command, sizeof command, "localedef -i %s -f %s %s/%s >/dev/null 2>&1", language,
                   charset, folder, as);
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
    if (build("de_DE", "UTF-8", names[0]) && has_comma(category, names[0])) {
        return true;
    }
    mf_locale_leave(category);
    (void)fprintf(stderr, "no locale with a decimal comma: install the package locales\n");
    return false;
}

/* One byte for each letter, because tolower() knows no others. */
bool mf_locale_enter_turkish(int category)
{
    static const char own[] = "tr_TR.ISO-8859-9";
    bool is_there = setlocale(category, "tr_TR") != NULL || setlocale(category, own) != NULL ||
                    (build("tr_TR", "ISO-8859-9", own) && setlocale(category, own) != NULL);
    if (is_there && tolower('I') != 'i') {
        return true;
    }
    mf_locale_leave(category);
    (void)fprintf(stderr, "no Turkish locale: install the package locales\n");
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
