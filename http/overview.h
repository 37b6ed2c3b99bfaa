/* /overview: what the status page draws beside the other routes, from the metric set and the ring
 * of the last hour. */
#ifndef MFI_HTTP_OVERVIEW_H
#define MFI_HTTP_OVERVIEW_H

#include "http/pages.h"

#define MFI_OVERVIEW_ROWS_MAX 256 /* of each table; further rows are counted, not shown */

void mfi_page_overview(const mfi_page_request *request, mfi_page *page);

#endif
