/* How long a scraper waits for its page, as it says in a header. */
#ifndef MFI_HTTP_PATIENCE_H
#define MFI_HTTP_PATIENCE_H

#include <stdint.h>

#define MFI_PATIENCE_HEADER "X-Prometheus-Scrape-Timeout-Seconds"

/* The nanoseconds after which it is time to answer: nine tenths of the header's seconds. 0 if the
 * value is no positive number. Longer than a day counts as a day. */
uint64_t mfi_patience_ns(const char *value);

#endif
