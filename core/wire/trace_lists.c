/* Reads tracestate and baggage as other programs sent them. It exists so that nothing but what the
 * two standards allow, and of baggage nothing but what the program allows, is passed on. */
#include "core/wire/trace_lists.h"

#include <string.h>

#include "base/carried.h"
#include "base/str.h"

#define LARGE_ENTRY_BYTES ((size_t)128) /* larger entries are left out first */

/* ---- Lists ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static mfi_text trim(mfi_text text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* Takes the part before the next separator, or the rest; both without the blanks around them. */
static mfi_text take(mfi_text *rest, char separator)
{
    const char *at = memchr(rest->data, separator, rest->size);
    size_t size = at != NULL ? (size_t)(at - rest->data) : rest->size;
    mfi_text part = {rest->data, size};
    size_t taken = at != NULL ? size + 1 : size;
    rest->data += taken;
    rest->size -= taken;
    return trim(part);
}

/* Appends to a list; the caller has seen that it fits. */
static void append(char *to, size_t *size, mfi_text part)
{
    if (*size > 0) {
        to[(*size)++] = ',';
    }
    memcpy(to + *size, part.data, part.size);
    *size += part.size;
}

static bool is_readable(mfi_text from)
{
    return from.data != NULL && from.size > 0 && from.size <= MFI_TRACE_LIST_READ_MAX_BYTES;
}

/* ---- tracestate ---- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The characters of a key behind its first one. */
static bool are_key_characters(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (!is_lower(c) && !is_digit(c) && c != '_' && c != '-' && c != '*' && c != '/') {
            return false;
        }
    }
    return true;
}

/* "vendor", or "tenant@vendor", where the tenant may begin with a digit. */
static bool is_state_key(const char *key, size_t size)
{
    const char *sign = size > 0 ? memchr(key, '@', size) : NULL;
    if (sign == NULL) {
        return size >= 1 && size <= 256 && is_lower(key[0]) &&
               are_key_characters(key + 1, size - 1);
    }
    size_t tenant = (size_t)(sign - key);
    size_t system = size - tenant - 1;
    return tenant >= 1 && tenant <= 241 && (is_lower(key[0]) || is_digit(key[0])) &&
           are_key_characters(key + 1, tenant - 1) && system >= 1 && system <= 14 &&
           is_lower(sign[1]) && are_key_characters(sign + 2, system - 1);
}

/* Printable ASCII without comma and equals sign. The last one is no blank, because entries are
 * trimmed. */
static bool is_state_value(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == ',' || text[i] == '=') {
            return false;
        }
    }
    return size >= 1 && size <= 256;
}

static bool is_state_entry(mfi_text entry)
{
    const char *sign = memchr(entry.data, '=', entry.size);
    if (sign == NULL) {
        return false;
    }
    size_t key = (size_t)(sign - entry.data);
    return is_state_key(entry.data, key) && is_state_value(sign + 1, entry.size - key - 1);
}

typedef struct state_entries {
    mfi_text list[MFI_TRACESTATE_MAX_ENTRIES];
    size_t count;
    size_t total; /* bytes with the commas between them */
} state_entries;

static void leave_out(state_entries *entries, size_t index)
{
    entries->total -= entries->list[index].size + (entries->count > 1);
    entries->count--;
    memmove(&entries->list[index], &entries->list[index + 1],
            (entries->count - index) * sizeof entries->list[0]);
}

/* False if an entry is malformed. Empty entries are allowed, and are no entries. */
static bool read_entries(mfi_text from, state_entries *to)
{
    to->count = 0;
    to->total = 0;
    while (from.size > 0) {
        mfi_text entry = take(&from, ',');
        if (entry.size == 0) {
            continue;
        }
        if (to->count == MFI_TRACESTATE_MAX_ENTRIES || !is_state_entry(entry)) {
            return false;
        }
        to->list[to->count++] = entry;
        to->total += entry.size + (to->count > 1);
    }
    return to->count > 0;
}

size_t mfi_tracestate_read(mfi_text from, char to[MFI_TRACESTATE_MAX_BYTES])
{
    state_entries entries;
    size_t size = 0;
    if (!is_readable(from) || !read_entries(from, &entries)) {
        return 0;
    }
    if (from.size <= MFI_TRACESTATE_MAX_BYTES) {
        memcpy(to, from.data, from.size);
        return from.size;
    }
    for (size_t i = entries.count; i > 0 && entries.total > MFI_TRACESTATE_MAX_BYTES; i--) {
        if (entries.list[i - 1].size > LARGE_ENTRY_BYTES) {
            leave_out(&entries, i - 1);
        }
    }
    while (entries.total > MFI_TRACESTATE_MAX_BYTES) {
        leave_out(&entries, entries.count - 1);
    }
    for (size_t i = 0; i < entries.count; i++) {
        append(to, &size, entries.list[i]);
    }
    return size;
}

/* ---- baggage ---- */

/* Printable ASCII but for blanks, quotes, commas, semicolons and backslashes. Percent signs and
 * what follows them are left as they are. */
static bool is_baggage_value(mfi_text text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c <= 0x20 || c > 0x7e || c == '"' || c == ',' || c == ';' || c == '\\') {
            return false;
        }
    }
    return true;
}

/* "key=value", and as a property "key" alone. */
static bool is_pair(mfi_text text, bool needs_value, mfi_text *ret_key)
{
    bool has_value = memchr(text.data, '=', text.size) != NULL;
    *ret_key = take(&text, '=');
    return mfi_token_valid(ret_key->data, ret_key->size) && (has_value || !needs_value) &&
           is_baggage_value(trim(text));
}

/* "key=value;property;property=value" with blanks around the signs. */
static bool is_member(mfi_text member, mfi_text *ret_key)
{
    mfi_text key;
    bool more = memchr(member.data, ';', member.size) != NULL;
    if (!is_pair(take(&member, ';'), true, ret_key)) {
        return false;
    }
    while (more) {
        more = member.size > 0 && memchr(member.data, ';', member.size) != NULL;
        if (!is_pair(take(&member, ';'), false, &key)) {
            return false;
        }
    }
    return true;
}

static bool is_allowed(mfi_text key, const char *const *keys)
{
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (strlen(keys[i]) == key.size && memcmp(keys[i], key.data, key.size) == 0) {
            return true;
        }
    }
    return false;
}

size_t mfi_baggage_read(mfi_text from, const char *const *keys, char to[MFI_BAGGAGE_MAX_BYTES])
{
    size_t size = 0;
    mfi_text key;
    if (keys == NULL || !is_readable(from)) {
        return 0;
    }
    while (from.size > 0) {
        mfi_text member = take(&from, ',');
        if (member.size == 0) {
            continue;
        }
        if (!is_member(member, &key)) {
            return 0;
        }
        if (is_allowed(key, keys) && size + (size > 0) + member.size <= MFI_BAGGAGE_MAX_BYTES) {
            append(to, &size, member);
        }
    }
    return size;
}

/* ---- Both ---- */

uint64_t mfi_trace_lists_keep(mfi_text tracestate, mfi_text baggage, const char *const *keys)
{
    char state[MFI_TRACESTATE_MAX_BYTES];
    char allowed[MFI_BAGGAGE_MAX_BYTES];
    mfi_carried_text state_text = {state, mfi_tracestate_read(tracestate, state)};
    mfi_carried_text baggage_text = {allowed, mfi_baggage_read(baggage, keys, allowed)};
    return mfi_carried_keep(state_text, baggage_text);
}
