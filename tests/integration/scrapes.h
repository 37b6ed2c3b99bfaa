/* What every scrape must be, for tests of parents. */
#ifndef TESTS_INTEGRATION_SCRAPES_H
#define TESTS_INTEGRATION_SCRAPES_H

/* Checks a text of the Prometheus format: each line is well formed, each series is there once, and
 * buckets are cumulative. before: an earlier scrape of the same program, or NULL. Each counter of
 * that scrape is still there, and not less. */
void check_scrape(const char *text, const char *before);

#endif
