/* Labels and help as both formats of the exposition write them. */
#ifndef MFI_METRICS_LABELS_H
#define MFI_METRICS_LABELS_H

#include <stdbool.h>

#include "base/buf.h"
#include "metrics/metric_set.h"

/* Appends text with backslashes and line ends escaped, and quotes if asked for. What is no UTF-8 is
 * replaced by U+FFFD. */
void mfi_append_escaped(mfi_buf *to, const char *text, bool quotes);

/* Makes series->labels of its values. False without memory. */
bool mfi_series_label(const mf_family *family, mfi_series *series);

#endif
