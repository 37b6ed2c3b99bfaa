/* The status page for people, and the files that it loads. */
#ifndef MFI_HTTP_STATUS_PAGE_H
#define MFI_HTTP_STATUS_PAGE_H

#include "http/pages.h"

void mfi_page_style(const mfi_page_request *request, mfi_page *page);
void mfi_page_script(const mfi_page_request *request, mfi_page *page);

/* Of a route that has JSON for machines: replaces the body by the status page if a browser asks.
 * The code stays, so that a monitor that says it takes HTML sees a failure too. An argument in the
 * query gets the JSON, whoever asks. */
void mfi_status_page_for_people(const mfi_page_request *request, mfi_page *page);

#endif
