/* Records without a writer: see record_support.h. */
#include "record_support.h"

#include <string.h>

void bare_logger_init(mf_logger *logger)
{
    memset(logger, 0, sizeof *logger);
    mf_check(mfi_encoder_constant(&logger->head, "s", "i", "parent"));
}

void bare_logger_fini(mf_logger *logger)
{
    mfi_buf_fini(&logger->head.constant);
}

void fixed_record(mfi_record *record, mf_logger *logger, mf_log_level level, const char *event)
{
    mfi_log_head(record, logger, level, event);
    record->wall_ns = UINT64_C(1767225600123456789);
    record->tid = 7;
    record->seq = 3;
}

static char *as_text(mfi_buf *line)
{
    size_t size = 0;
    mfi_buf_append_byte(line, 0);
    mf_check(!line->failed);
    char *text = (char *)mfi_buf_take(line, &size);
    mf_check(text != NULL && strlen(text) + 1 == size);
    return text;
}

char *json_of(mf_logger *logger, const mfi_record *record)
{
    mfi_buf line;
    mfi_buf_init(&line, 0);
    mfi_encoder_json(&line, &logger->head, record, MFI_LINE_MAX_BYTES);
    return as_text(&line);
}

char *human_of(mf_logger *logger, const mfi_record *record)
{
    mfi_buf line;
    mfi_buf_init(&line, 0);
    (void)logger;
    mfi_encoder_human(&line, record, MFI_LINE_MAX_BYTES);
    return as_text(&line);
}
