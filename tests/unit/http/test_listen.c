/* Addresses that are bound, and errors that name the one that could not be. */
#include "http/listen.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mf_test.h"

static void check_bound(const char *address, bool is_loopback)
{
    mfi_listener listener;
    mf_error error = MF_ERROR_INIT;
    if (!mf_check(mfi_listen(&listener, address, 0, &error) == MF_OK)) {
        return;
    }
    int listens = 0;
    socklen_t size = sizeof listens;
    mf_check(listener.port != 0);
    mf_check_int(listener.is_loopback, is_loopback);
    mf_check_int(getsockopt(listener.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size), 0);
    mf_check_int(listens, 1);
    mfi_listener second;
    mf_check_int(mfi_listen(&second, address, listener.port, &error), MF_ERR_ADDRESS_IN_USE);
    mf_check_contains(error.message, address);
    (void)close(listener.fd);
    mf_check_int(mfi_listen(&second, address, listener.port, &error), MF_OK); /* again, at once */
    (void)close(second.fd);
}

static void test_addresses(void)
{
    check_bound("127.0.0.1", true);
    check_bound("127.1.2.3", true);
    check_bound("0.0.0.0", false);
    mfi_listener probe;
    if (mfi_listen(&probe, "::1", 0, NULL) == MF_OK) { /* not every container has IPv6 */
        (void)close(probe.fd);
        check_bound("::1", true);
        check_bound("::", false);
        check_bound("::ffff:127.0.0.1", true);
    }
}

static void test_refusals(void)
{
    static const char *const texts[] = {"localhost", "", "127.0.0.1:80", "[::1]", "1.2.3"};
    mfi_listener listener;
    mf_error error = MF_ERROR_INIT;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mf_check_int(mfi_listen(&listener, texts[i], 0, &error), MF_ERR_INVALID_ARGUMENT);
        mf_check_contains(error.message, "is no IP address");
        mf_check_contains(error.message, texts[i]);
    }
    mf_check_int(mfi_listen(&listener, "192.0.2.1", 0, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, "192.0.2.1"); /* of documentation: no host has it */
}

static const mf_test tests[] = {
    {"listen__binds_addresses", test_addresses},
    {"listen__names_what_it_refuses", test_refusals},
};
MF_TEST_MAIN(tests)
