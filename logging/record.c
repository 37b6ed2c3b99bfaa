/* Fills records with entries and reads them back.
 *
 * An entry is: type, flags, key (a pointer, or a length and bytes), value. Entries are unaligned,
 * so every access is a memcpy. */
#include "logging/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <math.h>

#include "base/clock.h"
#include "base/context.h"
#include "base/id.h"
#include "base/str.h"
#include "logging/redact.h"

#define KEY_COPIED 255u /* in place of the length of a static key */
#define KEY_MAX 128u    /* bytes of a copied key; longer ones are cut */

int32_t mfi_log_thread_id(void)
{
    static _Thread_local int32_t own;
    static _Thread_local uint64_t own_generation;
    uint64_t generation = mfi_fork_generation(); /* a thread has another id after a fork */
    if (own == 0 || own_generation != generation) {
        own = (int32_t)syscall(SYS_gettid);
        own_generation = generation;
    }
    return own;
}

/* The library's own events are static texts, so the address is their key. */
bool mfi_log_sample(mfi_sampler *sampler, const char *event, uint64_t function,
                    uint64_t monotonic_ns)
{
    return mfi_sampler_takes(sampler, ((uint64_t)(uintptr_t)event << 1) ^ function,
                             monotonic_ns != 0 ? monotonic_ns : mfi_monotonic_ns());
}

void mfi_log_head(mfi_record *record, mf_logger *logger, mf_log_level level, const char *event)
{
    memset(record, 0, offsetof(mfi_record, data));
    record->logger = logger;
    record->event = event;
    record->level = (uint8_t)level;
}

mfi_record *mfi_log_start(mf_logger *logger, mf_log_level level, const char *event,
                          mfi_record *on_stack)
{
    mfi_log_head(on_stack, logger, level, event);
    on_stack->wall_ns = mfi_wall_ns();
    on_stack->tid = mfi_log_thread_id();
    return on_stack;
}

/* ---- Writing ---- */

static size_t room(const mfi_record *record)
{
    /* Kept for the end of an object, which may have taken its byte already. */
    const size_t kept = 2;
    return record->size + kept < MFI_RECORD_DATA ? MFI_RECORD_DATA - record->size - kept : 0;
}

static void put(mfi_record *record, const void *bytes, size_t size)
{
    memcpy(record->data + record->size, bytes, size);
    record->size = (uint16_t)(record->size + size);
}

/* Begins an entry whose value takes `needed` bytes; false if there is no room for it. */
static bool begin(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size,
                  size_t needed)
{
    unsigned char head[2] = {(unsigned char)type, (unsigned char)key_size};
    if (record->muted || sizeof head + sizeof key + needed > room(record)) {
        record->truncated = true;
        return false;
    }
    put(record, head, sizeof head);
    put(record, (const void *)&key, sizeof key);
    return true;
}

/* The same, with a copy of the user's key. */
static bool begin_copied(mfi_record *record, mfi_entry_type type, const char *key, size_t needed)
{
    unsigned char head[2] = {(unsigned char)type, KEY_COPIED};
    size_t whole = strlen(key);
    uint16_t key_size = (uint16_t)mfi_utf8_prefix(key, whole, KEY_MAX);
    if (record->muted || sizeof head + sizeof key_size + key_size + needed > room(record)) {
        record->truncated = true;
        return false;
    }
    put(record, head, sizeof head);
    put(record, &key_size, sizeof key_size);
    put(record, key, key_size);
    record->truncated |= key_size < whole;
    return true;
}

/* How many bytes of a text fit behind a head and a key of that size. */
static uint16_t text_room(const mfi_record *record, size_t key_size, const char *text,
                          size_t length)
{
    size_t overhead = 2 + sizeof(uint16_t) + key_size;
    size_t left = room(record) > overhead ? room(record) - overhead : 0;
    return (uint16_t)mfi_utf8_prefix(text, length, left);
}

static void put_text(mfi_record *record, const char *text, size_t length, uint16_t size)
{
    put(record, &size, sizeof size);
    put(record, text, size);
    record->truncated |= size < length;
}

void mfi_record_put_text(mfi_record *record, const char *key, size_t key_size, const char *text,
                         size_t length)
{
    uint16_t size = text_room(record, sizeof key, text, length);
    if (begin(record, MFI_ENTRY_STR, key, key_size, sizeof size + size)) {
        put_text(record, text, length, size);
    }
}

void mfi_record_put_word(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size,
                         uint64_t word)
{
    if (begin(record, type, key, key_size, sizeof word)) {
        put(record, &word, sizeof word);
    }
}

bool mfi_record_put_mark(mfi_record *record, mfi_entry_type type, const char *key, size_t key_size)
{
    return begin(record, type, key, key_size, 0);
}

void mfi_record_object_begin(mfi_record *record, const char *key)
{
    record->muted = !mfi_record_put_mark(record, MFI_ENTRY_OBJECT, key, strlen(key));
    record->in_object = !record->muted;
}

void mfi_record_object_end(mfi_record *record)
{
    if (record->in_object) {
        record->data[record->size++] = MFI_ENTRY_END; /* room() has reserved this byte */
    }
    record->in_object = false;
    record->muted = false;
}

void mfi_record_context(mfi_record *record, const mf_context *context)
{
    char flags[3];
    if (context == NULL || mfi_log_gate_of(record->logger)->no_correlation_ids) {
        return;
    }
    const char *const pairs[][2] = {{"correlation_id", context->correlation_id},
                                    {"trace_id", context->trace_id},
                                    {"span_id", context->span_id},
                                    {"parent_span_id", context->parent_span_id},
                                    {"request_id", context->request_id},
                                    {"parent_request_id", context->parent_request_id}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i][1][0] != '\0') {
            mfi_record_str(record, pairs[i][0], pairs[i][1]);
        }
    }
    if (context->trace_id[0] != '\0') {
        mfi_format_hex(flags, &context->trace_flags, 1);
        mfi_record_strn(record, "trace_flags", flags, 2);
    }
}

/* ---- Messages ---- */

/* Stores the message between the entries, as an entry that the reader skips. */
static void add_message(mfi_record *record, const char *first, size_t first_size,
                        const char *second, size_t second_size)
{
    unsigned char head[2] = {MFI_ENTRY_TEXT, 0};
    size_t most = room(record) > 16 ? room(record) - 16 : 0;
    if (room(record) < sizeof head + sizeof(uint16_t)) {
        record->truncated = true; /* the message given before stays */
        return;
    }
    most = most < MFI_MESSAGE_MAX ? most : MFI_MESSAGE_MAX;
    size_t a = mfi_utf8_prefix(first, first_size, most);
    size_t b = a < first_size ? 0 : mfi_utf8_prefix(second, second_size, most - a);
    uint16_t size = (uint16_t)(a + b);
    record->truncated |= a + b < first_size + second_size;
    put(record, head, sizeof head);
    put(record, &size, sizeof size);
    record->message_at = record->size;
    record->message_size = size;
    put(record, first, a);
    put(record, second, b);
}

void mfi_record_message_strn(mfi_record *record, const char *text, size_t length)
{
    add_message(record, text, length, "", 0);
}

void mfi_record_message_pair(mfi_record *record, const char *first, const char *second)
{
    char text[320];
    size_t length = mfi_str_copy(text, sizeof text, first);
    record->truncated |= first[length] != '\0';
    if (second != NULL && length + 1 < sizeof text) {
        text[length++] = ' ';
    }
    add_message(record, text, length, second != NULL ? second : "",
                second != NULL ? strlen(second) : 0);
}

void mfi_record_message(mfi_record *record, const char *format, ...)
{
    char text[MFI_MESSAGE_MAX + 1];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = length < 0 ? 0 : (size_t)length;
    size_t cut = size < sizeof text ? size : mfi_utf8_prefix(text, size, sizeof text - 1);
    record->truncated |= cut < size;
    add_message(record, text, cut, "", 0);
}

/* ---- Users' events ---- */

void mfi_record_user_event(mfi_record *record, const char *event)
{
    unsigned char head[2] = {MFI_ENTRY_TEXT, 0};
    uint16_t size = (uint16_t)strlen(event); /* at most 64: the caller has checked the name */
    put(record, head, sizeof head);
    put(record, &size, sizeof size);
    record->event = NULL;
    record->event_at = record->size;
    record->event_size = size;
    put(record, event, size);
}

static void add_user_text(mfi_record *record, const char *key, const char *text, size_t length)
{
    uint16_t size = text_room(record, sizeof(uint16_t) + KEY_MAX, text, length);
    if (begin_copied(record, MFI_ENTRY_STR, key, sizeof size + size)) {
        put_text(record, text, length, size);
    }
}

static void add_user_word(mfi_record *record, mfi_entry_type type, const char *key,
                          const void *word)
{
    if (begin_copied(record, type, key, sizeof(uint64_t))) {
        put(record, word, sizeof(uint64_t));
    }
}

void mfi_record_user_field(mfi_record *record, const mf_log_field *field)
{
    static const char mask[] = "[redacted]";
    const char *key = field->key;
    if (key == NULL) {
        return;
    }
    if (mfi_redact(record->logger != NULL ? mfi_log_gate_of(record->logger)->redaction : NULL,
                   field)) {
        add_user_text(record, key, mask, sizeof mask - 1);
        return;
    }
    switch (field->type) {
    case MF_LOG_TYPE_INT:
        add_user_word(record, MFI_ENTRY_INT, key, &field->value.int_value);
        break;
    case MF_LOG_TYPE_UINT:
        add_user_word(record, MFI_ENTRY_UINT, key, &field->value.uint_value);
        break;
    case MF_LOG_TYPE_FLOAT:
        if (isfinite(field->value.float_value)) {
            add_user_word(record, MFI_ENTRY_FLOAT, key, &field->value.float_value);
        }
        break;
    case MF_LOG_TYPE_BOOL:
        (void)begin_copied(record, field->value.bool_value ? MFI_ENTRY_TRUE : MFI_ENTRY_FALSE, key,
                           0);
        break;
    case MF_LOG_TYPE_STR:
        if (field->value.str_value != NULL) {
            add_user_text(record, key, field->value.str_value, strlen(field->value.str_value));
        }
        break;
    }
}

/* ---- Reading ---- */

static void get(const mfi_record *record, size_t *at, void *to, size_t size)
{
    memcpy(to, record->data + *at, size);
    *at += size;
}

static void get_text(const mfi_record *record, size_t *at, const char **ret_text, size_t *ret_size)
{
    uint16_t size = 0;
    get(record, at, &size, sizeof size);
    *ret_text = (const char *)record->data + *at;
    *ret_size = size;
    *at += size;
}

bool mfi_record_next(const mfi_record *record, size_t *at, mfi_entry *ret_entry)
{
    const char *text = NULL;
    size_t size = 0;
    while (*at < record->size && record->data[*at] == MFI_ENTRY_TEXT) {
        *at += 2;
        get_text(record, at, &text, &size);
    }
    if (*at >= record->size) {
        return false;
    }
    mfi_entry *entry = ret_entry; /* filled in place, because a copy is slow to read back */
    entry->type = (mfi_entry_type)record->data[*at];
    *at += 1;
    if (entry->type != MFI_ENTRY_END) {
        entry->key_size = record->data[*at];
        entry->key_copied = entry->key_size == KEY_COPIED;
        *at += 1;
        if (entry->key_copied) {
            get_text(record, at, &entry->key, &entry->key_size);
        } else {
            get(record, at, (void *)&entry->key, sizeof entry->key);
        }
        if (entry->type == MFI_ENTRY_STR) {
            get_text(record, at, &entry->text, &entry->text_size);
        } else if (entry->type >= MFI_ENTRY_INT && entry->type <= MFI_ENTRY_MS) {
            get(record, at, &entry->value, sizeof entry->value);
        }
    }
    return true;
}

bool mfi_record_has_key(const mfi_record *record, size_t from, size_t to, const mfi_entry *entry)
{
    mfi_entry other;
    while (from < to && mfi_record_next(record, &from, &other)) {
        if (other.type != MFI_ENTRY_END && other.key_size == entry->key_size &&
            memcmp(other.key, entry->key, entry->key_size) == 0 && from <= to) {
            return true;
        }
    }
    return false;
}
