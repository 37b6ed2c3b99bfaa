/* A line at the admin socket holds any bytes: it is read whole or refused with a reason, and what
 * is read keeps to its bounds. */
#include <stdlib.h>
#include <string.h>

#include "admin/line.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool ends(const char text[MFI_COMMAND_NAME_MAX])
{
    return memchr(text, '\0', MFI_COMMAND_NAME_MAX) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mfi_admin_line line;
    mf_error error;
    mfi_error_clear(&error);
    mf_status status = mfi_admin_line_read(&line, (const char *)data, size, &error);
    must(status == MF_OK || status == MF_ERR_INVALID_ARGUMENT);
    must((status == MF_OK) == (error.message[0] == '\0'));
    must(line.what <= MFI_ADMIN_UNKNOWN && (status != MF_OK || line.what != MFI_ADMIN_UNKNOWN));
    must(ends(line.target) && ends(line.worker) && ends(line.fault.function));
    if (status == MF_OK && line.what == MFI_ADMIN_FAULT && !line.ends) {
        must(line.fault.kind < MFI_FAULT_COUNT);
        must(line.fault.share >= 0 && line.fault.share <= 1);
        must(line.fault.for_ms >= 1 && line.fault.delay_ms >= 0);
    }
    return 0;
}
