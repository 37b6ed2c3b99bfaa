/* Locales that are not like "C", for tests: one whose decimal point is a comma, and a Turkish one.
 */
#ifndef MF_TEST_LOCALE_H
#define MF_TEST_LOCALE_H

#include <stdbool.h>

/* Sets such a locale for the category of setlocale(): one that the system has, or one that is built
 * into the test's temporary folder. False, with a line on stderr, where neither can be had (Debian:
 * package locales). */
bool mf_locale_enter(int category);
/* The same with a Turkish locale, in which the small letter of I is not i. */
bool mf_locale_enter_turkish(int category);
/* Back to "C". */
void mf_locale_leave(int category);
/* What setlocale() was given, for processes that the test starts: they inherit LOCPATH. "" if no
 * such locale is set. */
const char *mf_locale_name(void);

#endif
