/* Reads the time limit that Prometheus sends with each scrape. A tenth of it is left for the way
 * back, and for a page that has become large. */
#include "http/patience.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"

#define SHARE 0.9     /* of the limit */
#define DAY_S 86400.0 /* so that the sum with a clock does not overflow */

uint64_t mfi_patience_ns(const char *value)
{
    double seconds = 0;
    if (!mfi_parse_double(value, strlen(value), &seconds) || !(seconds > 0)) {
        return 0;
    }
    return (uint64_t)ceil(fmin(seconds, DAY_S) * SHARE * (double)MFI_NS_PER_S);
}
