/* What may stand in the query of /crashes. */
#ifndef MFI_HTTP_CRASHES_PAGE_H
#define MFI_HTTP_CRASHES_PAGE_H

#include "http/pages.h"

#define MFI_CRASHES_LIMIT_MOST 1000000 /* largest ?limit= */

/* /crashes: the kept crashes, the newest first. */
void mfi_page_crashes(const mfi_page_request *request, mfi_page *page);

#endif
