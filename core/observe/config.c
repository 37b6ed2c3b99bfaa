/* multifrost_config_info: the fingerprint of the configuration that is in force. It exists so that
 * a query finds the processes of a job that do not run with the same options. */
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metrics/metric_set.h"

void mfi_observe_config(mfi_observer *observer, const char *hash)
{
    if (observer->metrics == NULL) {
        return;
    }
    /* The new series is held before the old one goes, so that the family is never empty; the two
     * may be the same. */
    mf_family *family = observer->families.config;
    mf_gauge *before = observer->config;
    observer->config = mfi_family_hold_gauge(family, &hash);
    mfi_family_drop_gauge(family, before);
}
