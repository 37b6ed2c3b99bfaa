/* What the tests of metrics share: sets and families in a line each, and the text of a set. */
#ifndef METRIC_SUPPORT_H
#define METRIC_SUPPORT_H

#include "metrics/metric_set.h"
#include "mf_test.h"

/* A set of the default memory. */
mf_metrics *make_set(void);
/* A family with the help text "a test"; max_series 0: the default. */
mf_family *add_family(mf_metrics *metrics, mf_metric_type type, const char *name,
                      const char *const *labels, size_t count, size_t max_series);

/* The text of a set, for free(). */
char *render_set(mf_metrics *metrics, mf_metrics_format format);
/* The lines of that text that say anything of this family, for free(). */
char *render_family(mf_metrics *metrics, mf_metrics_format format, const char *name);

/* xorshift64 (G. Marsaglia): the same numbers in every run. */
uint64_t next_random(void);

/* A sanitizer makes each record many times slower; what is to be shown is the same. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER 1
#else
#define WITH_SANITIZER 0
#endif

#endif
