#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "logging/logger.h"

static void key(mfi_buf *to, const char *name)
{
    mfi_buf_append_str(to, ",\"");
    mfi_buf_append_str(to, name);
    mfi_buf_append_str(to, "\":");
}

static void text(mfi_buf *to, const char *bytes, size_t size, size_t most)
{
    mfi_buf_append_byte(to, '"');
    mfi_json_append_escaped(to, bytes, mfi_utf8_prefix(bytes, size, most));
    mfi_buf_append_byte(to, '"');
}

static void pair(mfi_buf *to, const char *name, const char *value)
{
    key(to, name);
    text(to, value, strlen(value), SIZE_MAX);
}

static void number(mfi_buf *to, const char *name, int64_t value)
{
    key(to, name);
    mfi_buf_printf(to, "%" PRId64, value);
}

/* The fields that every record has, in their fixed order. */
static void head(mfi_buf *to, const mf_logger *logger, const mfi_record *record, size_t most)
{
    static const int severities[] = {0, 1, 5, 9, 13, 17, 21};
    char time[40];
    (void)mfi_format_rfc3339(time, sizeof time, record->wall_ns, 6);
    mfi_buf_append_str(to, "{\"timestamp\":\"");
    mfi_buf_append_str(to, time);
    mfi_buf_append_str(to, "\"");
    pair(to, "level", mfi_level_word((mf_log_level)record->level));
    number(to, "severity_number", severities[record->level]);
    key(to, "event");
    if (record->event != NULL) {
        text(to, record->event, strlen(record->event), SIZE_MAX);
    } else {
        text(to, (const char *)record->data + record->event_at, record->event_size, SIZE_MAX);
    }
    key(to, "message");
    text(to, (const char *)record->data + record->message_at, record->message_size, most);
    key(to, "seq");
    mfi_buf_printf(to, "%" PRIu64, record->seq);
    pair(to, "service", logger->service);
    pair(to, "instance", logger->instance);
    pair(to, "role", logger->role);
    number(to, "pid", logger->pid);
    number(to, "tid", record->tid);
}

static void value(mfi_buf *to, const mfi_entry *entry, size_t most)
{
    char digits[40];
    switch (entry->type) {
    case MFI_ENTRY_STR:
        text(to, entry->text, entry->text_size, most);
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
        mfi_buf_printf(to, "%" PRIu64 ".%06" PRIu64, entry->value.uint_value / 1000000,
                       entry->value.uint_value % 1000000);
        break;
    case MFI_ENTRY_TRUE:
        mfi_buf_append_str(to, "true");
        break;
    case MFI_ENTRY_FALSE:
        mfi_buf_append_str(to, "false");
        break;
    case MFI_ENTRY_OBJECT:
        mfi_buf_append_byte(to, '{');
        break;
    case MFI_ENTRY_NULL:
    case MFI_ENTRY_TEXT:
    case MFI_ENTRY_END:
        mfi_buf_append_str(to, "null");
        break;
    }
}

static void encode(mfi_buf *to, const mf_logger *logger, const mfi_record *record, size_t most,
                   bool cut)
{
    size_t at = 0;
    mfi_entry entry;
    bool first = false; /* in an object: no comma yet */
    head(to, logger, record, most);
    while (mfi_record_next(record, &at, &entry)) {
        if (entry.type == MFI_ENTRY_END) {
            mfi_buf_append_byte(to, '}');
            first = false;
            continue;
        }
        mfi_buf_append_str(to, first ? "\"" : ",\"");
        mfi_json_append_escaped(to, entry.key, entry.key_size);
        mfi_buf_append_str(to, "\":");
        value(to, &entry, most);
        first = entry.type == MFI_ENTRY_OBJECT;
    }
    mfi_buf_append_str(to, cut || record->truncated ? ",\"truncated\":true}" : "}");
}

void mfi_encode_json(mfi_buf *to, const mf_logger *logger, const mfi_record *record)
{
    size_t start = to->size;
    size_t most = SIZE_MAX;
    encode(to, logger, record, most, false);
    /* Escapes can make a record six times as long: then its texts are cut until it fits. */
    for (most = MFI_MESSAGE_MAX; to->size - start > MFI_LINE_MAX_BYTES && most >= 16; most /= 2) {
        to->size = start;
        encode(to, logger, record, most, true);
    }
}
