/* Writes a record for a person at a terminal: time, level, event, message, then the fields. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/str.h"
#include "logging/logger.h"

static void value(mfi_buf *to, const mfi_entry *entry)
{
    char digits[40];
    switch (entry->type) {
    case MFI_ENTRY_STR:
        mfi_str_append_json(to, entry->text, entry->text_size);
        break;
    case MFI_ENTRY_INT:
        mfi_buf_printf(to, "%" PRId64, entry->value.int_value);
        break;
    case MFI_ENTRY_UINT:
        mfi_buf_printf(to, "%" PRIu64, entry->value.uint_value);
        break;
    case MFI_ENTRY_FLOAT:
        (void)mfi_format_double(digits, sizeof digits, entry->value.float_value, false);
        mfi_buf_append_str(to, digits);
        break;
    case MFI_ENTRY_MS:
        mfi_buf_printf(to, "%" PRIu64 ".%03" PRIu64, entry->value.uint_value / 1000000,
                       entry->value.uint_value / 1000 % 1000);
        break;
    case MFI_ENTRY_TRUE:
    case MFI_ENTRY_FALSE:
        mfi_buf_append_str(to, entry->type == MFI_ENTRY_TRUE ? "true" : "false");
        break;
    case MFI_ENTRY_NULL:
    case MFI_ENTRY_TEXT:
    case MFI_ENTRY_OBJECT:
    case MFI_ENTRY_END:
        mfi_buf_append_byte(to, '-');
        break;
    }
}

/* 12:00:00.123 warn  request_timeout Failed add  target=math status=timeout */
void mfi_encoder_human(mfi_buf *to, const mf_logger *logger, const mfi_record *record)
{
    char time[40];
    size_t at = 0;
    mfi_entry entry;
    (void)logger;
    (void)mfi_format_rfc3339(time, sizeof time, record->wall_ns, 3);
    mfi_buf_append(to, time + strlen("2026-01-01T"), strlen("00:00:00.000"));
    mfi_buf_printf(to, " %-5s ", mfi_level_word((mf_log_level)record->level));
    if (record->event != NULL) {
        mfi_buf_append_str(to, record->event);
    } else {
        mfi_buf_append(to, record->data + record->event_at, record->event_size);
    }
    mfi_buf_append_byte(to, ' ');
    mfi_str_append_json(to, (const char *)record->data + record->message_at, record->message_size);
    while (mfi_record_next(record, &at, &entry)) {
        if (entry.type == MFI_ENTRY_OBJECT || entry.type == MFI_ENTRY_END) {
            continue; /* the fields of an object are written like the others */
        }
        mfi_buf_append_byte(to, ' ');
        mfi_str_append_json(to, entry.key, entry.key_size);
        mfi_buf_append_byte(to, '=');
        value(to, &entry);
    }
}
