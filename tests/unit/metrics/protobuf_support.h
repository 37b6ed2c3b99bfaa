/* A small decoder of protobuf's wire format (protobuf.dev/programming-guides/encoding) that knows
 * nothing of a schema. What a message lacks fails the test. */
#ifndef PROTOBUF_SUPPORT_H
#define PROTOBUF_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    const uint8_t *at, *end;
} bytes;

typedef struct field {
    unsigned number;
    unsigned type;         /* 0: varint, 1: eight bytes, 2: bytes */
    uint64_t number_value; /* of types 0 and 1 */
    bytes value;           /* of type 2 */
} field;

/* The n-th field of that number; false if there are fewer. */
bool find_nth(bytes message, unsigned number, size_t n, field *ret);
/* The first field of that number, which has that type. */
field find(bytes message, unsigned number, unsigned type);
double find_double(bytes message, unsigned number);
uint64_t find_varint(bytes message, unsigned number);
int64_t zigzag(uint64_t value);
size_t count_of(bytes message, unsigned number);
void check_text(bytes message, unsigned number, const char *wanted);
/* The family of that name, in a body of delimited messages. */
bytes find_family(bytes body, const char *name);

#endif
