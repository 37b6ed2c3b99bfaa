/* Addresses of both families: reading, comparing, sockets. */
#include "core/transport/direct/address.h"

#include <unistd.h>

#include "mf_test.h"

static mfi_direct_address address_of(const char *text, uint16_t port)
{
    mfi_direct_address address;
    mf_check(mfi_direct_address_read(&address, text, port));
    return address;
}

static void test_both_families_are_read(void)
{
    mfi_direct_address four = address_of("127.0.0.1", 5555);
    mfi_direct_address six = address_of("::1", 65535);
    mf_check_int(four.any.sa_family, AF_INET);
    mf_check_int(four.four.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    mf_check_int(mfi_direct_address_port(&four), 5555);
    mf_check_int(mfi_direct_address_size(&four), sizeof(struct sockaddr_in));
    mf_check_int(six.any.sa_family, AF_INET6);
    mf_check(IN6_IS_ADDR_LOOPBACK(&six.six.sin6_addr));
    mf_check_int(mfi_direct_address_port(&six), 65535);
    mf_check_int(mfi_direct_address_size(&six), sizeof(struct sockaddr_in6));
}

static void test_other_texts_are_not(void)
{
    static const char *const bad[] = {"", "localhost", "127.0.0.1:5", "[::1]", "::x", "*"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mfi_direct_address address;
        mf_check(!mfi_direct_address_read(&address, bad[i], 5));
    }
}

static void test_equal_means_address_and_port(void)
{
    static const struct {
        const char *a, *b;
        uint16_t port_a, port_b;
        bool are_equal;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", 5, 5, true},
        {"127.0.0.1", "127.0.0.1", 5, 6, false},
        {"127.0.0.1", "127.0.0.2", 5, 5, false},
        {"::1", "::1", 5, 5, true},
        {"::1", "::1", 5, 6, false},
        {"::1", "::2", 5, 5, false},
        {"::", "0.0.0.0", 5, 5, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mfi_direct_address a = address_of(cases[i].a, cases[i].port_a);
        mfi_direct_address b = address_of(cases[i].b, cases[i].port_b);
        mf_check_int(mfi_direct_address_equals(&a, &b), cases[i].are_equal);
        mf_check_int(mfi_direct_address_equals(&b, &a), cases[i].are_equal);
    }
}

static void check_socket(const char *text)
{
    int type = 0;
    socklen_t size = sizeof type;
    mfi_direct_address address = address_of(text, 5);
    int fd = mfi_direct_address_socket(&address);
    mf_check(fd >= 0);
    mf_check_int(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size), 0);
    mf_check_int(type, SOCK_STREAM);
    (void)close(fd);
}

static void test_sockets_are_of_the_family(void)
{
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_socket("127.0.0.1");
    if (probe >= 0) { /* this machine has IPv6 */
        (void)close(probe);
        check_socket("::1");
    }
}

static const mf_test tests[] = {
    {"address__both_families_are_read", test_both_families_are_read},
    {"address__other_texts_are_not", test_other_texts_are_not},
    {"address__equal_means_address_and_port", test_equal_means_address_and_port},
    {"address__sockets_are_of_the_family", test_sockets_are_of_the_family},
};
MF_TEST_MAIN(tests)
