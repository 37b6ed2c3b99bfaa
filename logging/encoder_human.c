/* Writes a record for a person at a terminal: time, level, event, message, then the fields. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/str.h"
#include "logging/encoder.h"
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

/* The fields of the program's own are written like the others. One with the key of another field
 * says where it comes from. */
static void field(mfi_buf *to, const mfi_record *record, size_t object_at, const mfi_entry *entry)
{
    mfi_buf_append_byte(to, ' ');
    if (entry->key_copied && mfi_record_has_key(record, 0, object_at, entry)) {
        mfi_buf_append_str(to, "fields.");
    }
    mfi_str_append_json(to, entry->key, entry->key_size);
    mfi_buf_append_byte(to, '=');
    value(to, entry);
}

/* 12:00:00.123 warn  request_timeout Failed add  target=math status=timeout */
void mfi_encoder_human(mfi_buf *to, const mfi_record *record, size_t max)
{
    static const char mark[] = " truncated=true";
    char time[40];
    size_t at = 0, object_at = 0;
    size_t start = to->size;
    mfi_entry entry;
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
    for (size_t before = 0; mfi_record_next(record, &at, &entry); before = at) {
        object_at = entry.type == MFI_ENTRY_OBJECT ? at : object_at;
        if (entry.type != MFI_ENTRY_OBJECT && entry.type != MFI_ENTRY_END &&
            !(entry.key_copied && mfi_record_has_key(record, object_at, before, &entry))) {
            field(to, record, object_at, &entry);
        }
    }
    size_t size = to->size - start;
    bool is_cut = record->truncated || size > max;
    if (is_cut && !to->failed) {
        size_t most = max - (sizeof mark - 1);
        to->size = start + mfi_utf8_prefix((const char *)to->data + start, size, most);
        mfi_buf_append_str(to, mark);
    }
}
