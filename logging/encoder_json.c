/* Writes one record as a line of JSON. A line first gets room for the worst case (room_for()), so
 * that no write has to check. */
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/str.h"
#include "logging/encoder.h"

#define CONSTANT_TEXT_MAX ((size_t)384) /* bytes of service, instance and role when escaped */
#define TAIL_BYTES ((size_t)24)         /* of what ends a line that was cut */

#define PUT(to, literal) put((to), (literal), sizeof(literal) - 1)

static char *put(char *to, const char *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return to + size;
}

/* Bytes that are enough for any record. A byte of a text becomes at most 6. An entry has at least
 * 10 bytes of data; as text it takes its key (at most 60 bytes if not in the data) and 26 more.
 * Head and tail have fixed lengths, apart from an event of 64 bytes and the constant part. */
static size_t room_for(const mfi_line_head *head, const mfi_record *record)
{
    return 1024 + head->constant.size + (size_t)record->size * 9;
}

/* ---- Texts ---- */

/* Whether all 8 characters are ASCII and need no escape. All bytes are below 128 when they are
 * added, so that a sum carries into the highest bit of its own byte and no further. */
static bool all_plain(uint64_t word)
{
    const uint64_t high = MFI_EACH_BYTE(0x80);
    uint64_t quote = word ^ MFI_EACH_BYTE('"');
    uint64_t backslash = word ^ MFI_EACH_BYTE('\\');
    if ((word & high) != 0) {
        return false;
    }
    uint64_t not_control = word + MFI_EACH_BYTE(0x80 - 0x20);
    uint64_t is_delete = word + MFI_EACH_BYTE(1);
    uint64_t not_quote = quote + MFI_EACH_BYTE(0x7f);
    uint64_t not_backslash = backslash + MFI_EACH_BYTE(0x7f);
    return (not_control & ~is_delete & not_quote & not_backslash & high) == high;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static char *put_escaped(mfi_buf *buf, char *to, const char *text, size_t size)
{
    size_t at = 0;
    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, text + at, sizeof word);
        if (!all_plain(word)) {
            break;
        }
        memcpy(to + at, &word, sizeof word);
    }
    for (; at < size && is_plain((unsigned char)text[at]); at++) {
        to[at] = text[at];
    }
    to += at;
    if (at < size) { /* the general way writes the rest into the same room */
        buf->size = (size_t)((uint8_t *)to - buf->data);
        mfi_str_append_json(buf, text + at, size - at);
        to = (char *)buf->data + buf->size;
    }
    return to;
}

static char *put_text(mfi_buf *buf, char *to, const char *bytes, size_t size, size_t most)
{
    *to++ = '"';
    to = put_escaped(buf, to, bytes, mfi_utf8_prefix(bytes, size, most));
    *to++ = '"';
    return to;
}

static char *put_int(char *to, int64_t value)
{
    if (value < 0) {
        *to++ = '-';
        return mfi_str_put_u64(to, (uint64_t)0 - (uint64_t)value);
    }
    return mfi_str_put_u64(to, (uint64_t)value);
}

/* Appends as much of a text as takes at most CONSTANT_TEXT_MAX bytes. */
static void append_constant(mfi_line_head *head, const char *text)
{
    size_t start = head->constant.size;
    size_t size = mfi_utf8_prefix(text, strlen(text), CONSTANT_TEXT_MAX);
    head->cut |= size < strlen(text);
    mfi_str_append_json(&head->constant, text, size);
    while (head->constant.size - start > CONSTANT_TEXT_MAX) {
        head->constant.size = start;
        head->cut = true;
        size = mfi_utf8_prefix(text, size, size / 2);
        mfi_str_append_json(&head->constant, text, size);
    }
}

bool mfi_encoder_constant(mfi_line_head *head, const char *service, const char *instance,
                          const char *role)
{
    const char *const pairs[][2] = {
        {",\"service\":\"", service}, {"\",\"instance\":\"", instance}, {"\",\"role\":\"", role}};
    mfi_buf_init(&head->constant, 0);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        mfi_buf_append_str(&head->constant, pairs[i][0]);
        append_constant(head, pairs[i][1]);
    }
    mfi_buf_printf(&head->constant, "\",\"pid\":%d,\"tid\":", (int)getpid());
    return !head->constant.failed;
}

/* ---- The fields that every record has, in their fixed order ---- */

static char *put_time(char *to, mfi_line_head *head, uint64_t wall_ns)
{
    uint64_t second = wall_ns / MFI_NS_PER_S;
    if (second != head->stamp_second || head->stamp[0] == '\0') {
        (void)mfi_format_rfc3339(head->stamp, sizeof head->stamp, second * MFI_NS_PER_S, 0);
        head->stamp_second = second;
    }
    to = put(to, head->stamp, sizeof "2026-11-24T04:00:00" - 1);
    *to++ = '.';
    to = mfi_str_put_padded(to, wall_ns % MFI_NS_PER_S / 1000, 6);
    *to++ = 'Z';
    return to;
}

static char *put_level(char *to, uint8_t level)
{
#define LEVEL(word, number)                                                                        \
    {                                                                                              \
        "\",\"level\":\"" word "\",\"severity_number\":" number ",\"event\":",                     \
            sizeof("\",\"level\":\"" word "\",\"severity_number\":" number ",\"event\":") - 1      \
    }
    static const struct {
        const char *text;
        size_t size;
    } levels[] = {LEVEL("", "0"),      LEVEL("trace", "1"), LEVEL("debug", "5"),
                  LEVEL("info", "9"),  LEVEL("warn", "13"), LEVEL("error", "17"),
                  LEVEL("fatal", "21")};
#undef LEVEL
    return put(to, levels[level].text, levels[level].size);
}

static char *put_head(mfi_buf *buf, char *to, mfi_line_head *head, const mfi_record *record,
                      size_t most)
{
    to = PUT(to, "{\"timestamp\":\"");
    to = put_time(to, head, record->wall_ns);
    to = put_level(to, record->level);
    if (record->event != NULL) {
        to = put_text(buf, to, record->event, strlen(record->event), SIZE_MAX);
    } else {
        to = put_text(buf, to, (const char *)record->data + record->event_at, record->event_size,
                      SIZE_MAX);
    }
    to = PUT(to, ",\"message\":");
    to = put_text(buf, to, (const char *)record->data + record->message_at, record->message_size,
                  most);
    to = PUT(to, ",\"seq\":");
    to = mfi_str_put_u64(to, record->seq);
    to = put(to, (const char *)head->constant.data, head->constant.size);
    return put_int(to, record->tid);
}

/* ---- The others ---- */

static char *put_value(mfi_buf *buf, char *to, const mfi_entry *entry, size_t most)
{
    switch (entry->type) {
    case MFI_ENTRY_STR:
        return put_text(buf, to, entry->text, entry->text_size, most);
    case MFI_ENTRY_INT:
        return put_int(to, entry->value.int_value);
    case MFI_ENTRY_UINT:
        return mfi_str_put_u64(to, entry->value.uint_value);
    case MFI_ENTRY_FLOAT:
        return to + mfi_format_double(to, 40, entry->value.float_value, false);
    case MFI_ENTRY_MS:
        to = mfi_str_put_u64(to, entry->value.uint_value / 1000000);
        *to++ = '.';
        return mfi_str_put_padded(to, entry->value.uint_value % 1000000, 6);
    case MFI_ENTRY_TRUE:
        return PUT(to, "true");
    case MFI_ENTRY_FALSE:
        return PUT(to, "false");
    case MFI_ENTRY_OBJECT:
        return PUT(to, "{");
    case MFI_ENTRY_NULL:
    case MFI_ENTRY_TEXT:
    case MFI_ENTRY_END:
        break;
    }
    return PUT(to, "null");
}

static char *put_entry(mfi_buf *buf, char *to, const mfi_entry *entry, size_t most)
{
    *to++ = '"';
    to = entry->key_copied ? put_escaped(buf, to, entry->key, entry->key_size)
                           : put(to, entry->key, entry->key_size);
    to = PUT(to, "\":");
    return put_value(buf, to, entry, most);
}

/* How a line is cut: `most` bytes of each text, and fields only up to `end` bytes of the line. */
typedef struct cutting {
    size_t most, end;
    bool is_cut;
} cutting;

static void encode(mfi_buf *buf, mfi_line_head *head, const mfi_record *record, cutting cut)
{
    size_t at = 0;
    size_t object_at = 0; /* where the object begins that holds the next entry */
    mfi_entry entry;
    bool in_object = false;
    bool first = false; /* whether the next entry is the first of an object: no comma */
    bool is_full = false;
    char *start = (char *)mfi_buf_reserve(buf, room_for(head, record));
    if (start == NULL) {
        return;
    }
    size_t before_line = buf->size;
    char *to = put_head(buf, start, head, record, cut.most);
    for (size_t before = 0; mfi_record_next(record, &at, &entry); before = at) {
        char *undo = to;
        if (entry.type == MFI_ENTRY_END) {
            to = in_object ? PUT(to, "}") : to;
            in_object = first = false;
            continue;
        }
        if (is_full ||
            (entry.key_copied && mfi_record_has_key(record, object_at, before, &entry))) {
            continue;
        }
        if (!first) {
            *to++ = ',';
        }
        to = put_entry(buf, to, &entry, cut.most);
        if ((size_t)(to - start) > cut.end) {
            to = undo;
            is_full = true;
            continue;
        }
        first = entry.type == MFI_ENTRY_OBJECT;
        in_object |= first;
        object_at = first ? at : object_at;
    }
    to = cut.is_cut || head->cut || record->truncated ? PUT(to, ",\"truncated\":true}")
                                                      : PUT(to, "}");
    buf->size = before_line + (size_t)(to - start);
}

void mfi_encoder_json(mfi_buf *to, mfi_line_head *head, const mfi_record *record, size_t max)
{
    size_t start = to->size;
    cutting cut = {.most = SIZE_MAX, .end = SIZE_MAX};
    encode(to, head, record, cut);
    /* Escapes can make a record 6 times as long. Its texts are then cut until the line fits. What
     * is too long even so has long keys or very many fields: the last ones are left out. */
    for (cut.most = MFI_MESSAGE_MAX; to->size - start > max && cut.most >= 16; cut.most /= 2) {
        cut.is_cut = true;
        cut.end = cut.most == 16 ? max - TAIL_BYTES : SIZE_MAX;
        to->size = start;
        encode(to, head, record, cut);
    }
}
