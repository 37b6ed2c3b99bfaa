/* Buffers grow up to their cap, keep their content, and keep a failure until they are cleared. */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "mf_test.h"

static void test_appends(void)
{
    mfi_buf buf;
    size_t size = 0;
    mfi_buf_init(&buf, 0);
    mf_check(buf.data == NULL);
    mfi_buf_append_str(&buf, "one ");
    mfi_buf_append(&buf, "two", 3);
    mfi_buf_append_byte(&buf, ' ');
    mfi_buf_printf(&buf, "%d%c", 3, '\0');
    mf_check(!buf.failed);
    uint8_t *taken = mfi_buf_take(&buf, &size);
    mf_check_int(size, 10);
    mf_check_str((const char *)taken, "one two 3");
    mf_check(mfi_buf_take(&buf, &size) == NULL);
    free(taken);
    mfi_buf_fini(&buf);
}

static void test_cap_is_sticky(void)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 8);
    mfi_buf_append(&buf, "12345678", 8);
    mf_check(!buf.failed);
    mfi_buf_append_byte(&buf, '9');
    mf_check(buf.failed);
    mf_check(!buf.no_memory);
    mf_check_int(buf.size, 8);
    mf_check(mfi_buf_reserve(&buf, 0) == NULL);
    mfi_buf_clear(&buf);
    mf_check(!buf.failed);
    mf_check_int(buf.size, 0);
    mfi_buf_append_str(&buf, "again");
    mf_check_int(buf.size, 5);
    mfi_buf_fini(&buf);
}

static void test_room_is_held_against_the_cap(void)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 8);
    uint8_t *room = mfi_buf_room(&buf, 64); /* more than the cap: less is written */
    if (mf_check(room != NULL)) {
        memcpy(room, "12345678", 8);
        mfi_buf_advance(&buf, room + 8);
        mf_check(!buf.failed);
        mf_check_int(buf.size, 8);
        room = mfi_buf_room(&buf, 64);
    }
    if (mf_check(room != NULL)) {
        room[0] = '9';
        mfi_buf_advance(&buf, room + 1);
        mf_check(buf.failed);
        mf_check_int(buf.size, 8);
    }
    mfi_buf_fini(&buf);
}

static void test_growth_keeps_content(void)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    for (unsigned i = 0; i < 100000; i++) {
        mfi_buf_append_byte(&buf, (uint8_t)i);
    }
    bool same = buf.size == 100000;
    for (unsigned i = 0; same && i < 100000; i++) {
        same = buf.data[i] == (uint8_t)i;
    }
    mf_check(same);
    mf_check(mfi_buf_reserve(&buf, SIZE_MAX) == NULL); /* the sum would overflow */
    mf_check(buf.failed);
    mfi_buf_fini(&buf);
}

static void test_reuse_keeps_little(void)
{
    mfi_buf buf;
    mfi_buf_init(&buf, 0);
    mfi_buf_append_str(&buf, "some");
    size_t capacity = buf.capacity;
    mfi_buf_reuse(&buf, capacity, 4);
    mf_check_int(buf.capacity, capacity);
    mf_check_int(buf.size, 0);
    mf_check_int(buf.max, 4);
    mfi_buf_reuse(&buf, capacity - 1, 0);
    mf_check_int(buf.capacity, 0);
    mfi_buf_fini(&buf);
}

static const mf_test tests[] = {
    {"buf__appends_bytes_and_text", test_appends},
    {"buf__failure_at_the_cap_is_sticky", test_cap_is_sticky},
    {"buf__room_is_held_against_the_cap", test_room_is_held_against_the_cap},
    {"buf__growth_keeps_content", test_growth_keeps_content},
    {"buf__reuse_keeps_only_little_memory", test_reuse_keeps_little},
};
MF_TEST_MAIN(tests)
