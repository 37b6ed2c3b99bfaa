/* The memory of received payloads and of bytes that are not parsed yet. */
#include "core/transport/direct/body.h"

#include <string.h>

#include "core/transport/direct/connection.h"
#include "mf_test.h"

static void check_size(size_t size)
{
    mfi_message message = {0};
    mf_check(mfi_body_make(&message, size));
    mf_check_int(message.size, size);
    mf_check(mfi_body_memory(&message) == message.data);
    memset(mfi_body_memory(&message), 0x5a, size); /* all of it may be written */
    mf_check(size == 0 || (message.data[0] == 0x5a && message.data[size - 1] == 0x5a));
    mfi_message_release(&message);
    mf_check(message.data == NULL && message.release == NULL);
}

static void test_payloads_of_all_sizes(void)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 4095, 4096, 4097, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check_size(sizes[i]);
        check_size(sizes[i]);
    }
}

/* Two that live at the same time share nothing. */
static void test_payloads_are_separate(void)
{
    static const size_t sizes[] = {100, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        mfi_message one = {0};
        mfi_message two = {0};
        mf_check(mfi_body_make(&one, sizes[i]) && mfi_body_make(&two, sizes[i]));
        memset(mfi_body_memory(&one), 1, sizes[i]);
        memset(mfi_body_memory(&two), 2, sizes[i]);
        mf_check(one.data[0] == 1 && one.data[sizes[i] - 1] == 1);
        mfi_message_release(&one);
        mf_check(two.data[0] == 2 && two.data[sizes[i] - 1] == 2);
        mfi_message_release(&two);
    }
}

static void test_inbox_opens_once(void)
{
    mfi_inbox inbox = {0};
    mf_check(mfi_inbox_open(&inbox));
    mf_check(inbox.bytes != NULL && inbox.at == inbox.bytes && inbox.end == inbox.bytes);
    memset(inbox.bytes, 7, MFI_INBOX_BYTES);
    inbox.end += 10;
    uint8_t *bytes = inbox.bytes;
    mf_check(mfi_inbox_open(&inbox)); /* what it holds stays */
    mf_check(inbox.bytes == bytes && inbox.end == bytes + 10);
    mfi_inbox_close(&inbox);
    mf_check(inbox.bytes == NULL && inbox.at == NULL && inbox.end == NULL);
    mfi_inbox_close(&inbox);
}

static const mf_test tests[] = {
    {"body__payloads_of_all_sizes", test_payloads_of_all_sizes},
    {"body__payloads_are_separate", test_payloads_are_separate},
    {"body__inbox_opens_once", test_inbox_opens_once},
};
MF_TEST_MAIN(tests)
