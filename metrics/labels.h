/* Labels and help as both formats of the exposition write them. */
#ifndef MFI_METRICS_LABELS_H
#define MFI_METRICS_LABELS_H

#include <stdbool.h>

#include "base/buf.h"
#include "metrics/metric_set.h"

/* Appends text with backslashes, line ends and, if wanted, quotes escaped. U+FFFD replaces
 * malformed UTF-8. */
void mfi_append_escaped(mfi_buf *to, const char *text, bool quotes);

/* Writes series->labels from its values. False without memory. */
bool mfi_series_label(const mf_family *family, mfi_series *series);

#endif
