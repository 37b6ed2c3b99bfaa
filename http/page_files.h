/* The files of the status page, as the build has put them into the library. */
#ifndef MFI_HTTP_PAGE_FILES_H
#define MFI_HTTP_PAGE_FILES_H

#include <stddef.h>

typedef struct mfi_page_file {
    const char *bytes; /* a zero byte follows them */
    size_t size;
} mfi_page_file;

extern const mfi_page_file mfi_page_html, mfi_page_css, mfi_page_js;

#endif
