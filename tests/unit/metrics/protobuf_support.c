/* Reads fields by their numbers: see protobuf_support.h. */
#include "protobuf_support.h"

#include <string.h>

#include "mf_test.h"

static uint64_t read_varint(bytes *from)
{
    uint64_t value = 0;
    for (unsigned shift = 0; from->at < from->end && shift < 64; shift += 7) {
        uint8_t byte = *from->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    mf_check(false);
    from->at = from->end;
    return 0;
}

static bytes read_bytes(bytes *from, size_t size)
{
    mf_check(size <= (size_t)(from->end - from->at));
    bytes found = {from->at, from->at + size};
    from->at += size;
    return found;
}

static bool next_field(bytes *from, field *ret)
{
    if (from->at == from->end) {
        return false;
    }
    uint64_t key = read_varint(from);
    *ret = (field){.number = (unsigned)(key >> 3), .type = (unsigned)(key & 7)};
    if (ret->type == 0) {
        ret->number_value = read_varint(from);
    } else if (ret->type == 1) {
        memcpy(&ret->number_value, read_bytes(from, 8).at, 8);
    } else {
        mf_check_int((int)ret->type, 2);
        ret->value = read_bytes(from, read_varint(from));
    }
    return true;
}

bool find_nth(bytes message, unsigned number, size_t n, field *ret)
{
    while (next_field(&message, ret)) {
        if (ret->number == number && n-- == 0) {
            return true;
        }
    }
    return false;
}

field find(bytes message, unsigned number, unsigned type)
{
    field found = {0};
    mf_check(find_nth(message, number, 0, &found));
    mf_check_int((int)found.type, (int)type);
    return found;
}

double find_double(bytes message, unsigned number)
{
    double value = 0;
    field found = find(message, number, 1);
    memcpy(&value, &found.number_value, 8);
    return value;
}

uint64_t find_varint(bytes message, unsigned number)
{
    return find(message, number, 0).number_value;
}

int64_t zigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

size_t count_of(bytes message, unsigned number)
{
    field found;
    size_t count = 0;
    while (find_nth(message, number, count, &found)) {
        count++;
    }
    return count;
}

void check_text(bytes message, unsigned number, const char *wanted)
{
    char text[256] = "";
    bytes found = find(message, number, 2).value;
    mf_check((size_t)(found.end - found.at) < sizeof text);
    memcpy(text, found.at, (size_t)(found.end - found.at));
    mf_check_str(text, wanted);
}

bytes find_family(bytes body, const char *name)
{
    while (body.at < body.end) {
        bytes family = read_bytes(&body, read_varint(&body));
        bytes found = find(family, 1, 2).value;
        if ((size_t)(found.end - found.at) == strlen(name) &&
            memcmp(found.at, name, strlen(name)) == 0) {
            return family;
        }
    }
    mf_check(false);
    return (bytes){NULL, NULL};
}
