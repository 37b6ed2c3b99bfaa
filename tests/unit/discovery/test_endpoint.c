/* Fixed addresses: which texts are taken, and which error the others give. */
#include "core/discovery/endpoint.h"

#include "mf_test.h"

static void check_read(const char *text, bool can_be_free, const char *address, uint16_t port)
{
    mfi_endpoint at;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_endpoint_read("endpoint", text, can_be_free, &at, &error), MF_OK);
    mf_check_str(error.message, "");
    mf_check_str(at.address, address);
    mf_check_int(at.port, port);
}

static void test_addresses_that_are_taken(void)
{
    check_read("tcp://127.0.0.1:5555", false, "127.0.0.1", 5555);
    check_read("tcp://0.0.0.0:1", true, "0.0.0.0", 1);
    check_read("tcp://10.1.2.3:65535", false, "10.1.2.3", 65535);
    check_read("tcp://localhost:5555", false, "127.0.0.1", 5555);
    check_read("tcp://[::1]:5555", false, "::1", 5555);
    check_read("tcp://[::]:0", true, "::", 0);
    check_read("tcp://127.0.0.1:0", true, "127.0.0.1", 0);
    check_read("tcp://[2001:db8:1111:2222:3333:4444:255.255.255.255]:5555", false,
               "2001:db8:1111:2222:3333:4444:255.255.255.255", 5555);
}

static void test_others_are_refused_by_name(void)
{
    static const struct {
        const char *text, *wrong;
    } bad[] = {
        {"127.0.0.1:5555", "must begin with tcp://"},
        {" tcp://127.0.0.1:5555", "must begin with tcp://"},
        {"ipc://x:5555", "must begin with tcp://"},
        {"TCP://127.0.0.1:5555", "must begin with tcp://"},
        {"tcp://", "port is missing"},
        {"tcp://127.0.0.1", "port is missing"},
        {"tcp://127.0.0.1:", "port is missing"},
        {"tcp://[::1]", "port is missing"},
        {"tcp://[::1", "bracket is not closed"},
        {"tcp://127.0.0.1:0", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:65536", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:70000", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:-5", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:+5", "port must be 1 to 65535"},
        {"tcp://127.0.0.1: 5", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:5555 ", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:5555/x", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:*", "port must be 1 to 65535"},
        {"tcp://127.0.0.1:99999999999999999999", "port must be 1 to 65535"},
        {"tcp://:5555", "address must be numeric"},
        {"tcp://*:5555", "address must be numeric"},
        {"tcp://::1:5555", "address must be numeric"},
        {"tcp://[127.0.0.1]:5555", "address must be numeric"},
        {"tcp://[localhost]:5555", "address must be numeric"},
        {"tcp://[]:5555", "address must be numeric"},
        {"tcp://127.0.0.256:5555", "address must be numeric"},
        {"tcp://127.1:5555", "address must be numeric"},
        {"tcp://math.example:5555", "address must be numeric"},
        {"tcp://127.0.0.1 :5555", "address must be numeric"},
        {"tcp://127.0.0.1:5555:6666", "address must be numeric"},
        {"tcp://a-name-that-is-longer-than-any-address-of-a-machine-can-be:1",
         "address is too long"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mfi_endpoint at;
        mf_error error = MF_ERROR_INIT;
        mf_check_int(mfi_endpoint_read("endpoint", bad[i].text, false, &at, &error),
                     MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, "endpoint '");
        mf_check_contains(error.message, bad[i].text);
        mf_check_contains(error.message, bad[i].wrong);
    }
}

static void test_strange_texts_are_shown_visibly(void)
{
    mfi_endpoint at;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_endpoint_read("COMLINK_BIND", "tcp://\x1b[31m:70000", true, &at, &error),
                 MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message,
                 "COMLINK_BIND 'tcp://\\x1b[31m:70000': the port must be 0 to 65535");
}

static void test_loopback_addresses(void)
{
    static const char *const own[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const others[] = {"0.0.0.0", "10.0.0.1", "128.0.0.1",
                                         "::",      "fe80::1",  "::ffff:10.0.0.1"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        mf_check(mfi_address_is_loopback(own[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        mf_check(!mfi_address_is_loopback(others[i]));
    }
}

static const mf_test tests[] = {
    {"endpoint__addresses_that_are_taken", test_addresses_that_are_taken},
    {"endpoint__others_are_refused_by_name", test_others_are_refused_by_name},
    {"endpoint__strange_texts_are_shown_visibly", test_strange_texts_are_shown_visibly},
    {"endpoint__loopback_addresses", test_loopback_addresses},
};
MF_TEST_MAIN(tests)
