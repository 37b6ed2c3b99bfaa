/* A source is judged once, as long as its route, its descriptor and its socket stay the same. */
#include "core/transport/verdicts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mf_test.h"

typedef struct judge {
    bool admits;
    int asked, fd;
} judge;

static bool admits(void *data, int fd)
{
    judge *at = data;
    at->asked++;
    at->fd = fd;
    return at->admits;
}

static mfi_route route_of(const char *name)
{
    mfi_route route = {.size = (uint8_t)strlen(name)};
    memcpy(route.bytes, name, route.size);
    return route;
}

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check(fd >= 0);
    return fd;
}

/* The descriptor becomes another socket's. */
static void replace_socket(int fd)
{
    int another = new_socket();
    mf_check_int(dup3(another, fd, O_CLOEXEC), fd);
    (void)close(another);
}

static void test_a_source_is_judged_once(void)
{
    mfi_verdicts verdicts = {0};
    judge yes = {.admits = true};
    judge no = {.admits = false};
    mfi_route good = route_of("good");
    mfi_route bad = route_of("bad");
    int fds[2] = {new_socket(), new_socket()};
    for (int i = 0; i < 3; i++) {
        mf_check(mfi_verdicts_admit(&verdicts, &good, fds[0], admits, &yes));
        mf_check(!mfi_verdicts_admit(&verdicts, &bad, fds[1], admits, &no));
    }
    mf_check_int(yes.asked, 1);
    mf_check_int(yes.fd, fds[0]);
    mf_check_int(no.asked, 1);
    mf_check_int(no.fd, fds[1]);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* An identity that was admitted, used by a later connection. */
static void test_an_identity_is_not_inherited(void)
{
    mfi_verdicts verdicts = {0};
    judge at = {.admits = true};
    mfi_route route = route_of("parent-1");
    int fds[2] = {new_socket(), new_socket()};
    mf_check(mfi_verdicts_admit(&verdicts, &route, fds[0], admits, &at));
    at.admits = false;
    mf_check(!mfi_verdicts_admit(&verdicts, &route, fds[1], admits, &at)); /* another number */
    replace_socket(fds[0]);
    mf_check(!mfi_verdicts_admit(&verdicts, &route, fds[0], admits, &at)); /* the same number */
    mf_check_int(at.asked, 3);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* All connections of a parent have one route. A stranger's messages cost no judgement each, and do
 * not cost the worker its own verdict. */
static void test_sources_of_one_route_are_judged_once(void)
{
    mfi_verdicts verdicts = {0};
    judge yes = {.admits = true};
    judge no = {.admits = false};
    mfi_route route = route_of("");
    int fds[2] = {new_socket(), new_socket()};
    for (int i = 0; i < 3; i++) {
        mf_check(mfi_verdicts_admit(&verdicts, &route, fds[0], admits, &yes));
        mf_check(!mfi_verdicts_admit(&verdicts, &route, fds[1], admits, &no));
    }
    mf_check_int(yes.asked, 1);
    mf_check_int(no.asked, 1);
    (void)close(fds[0]); /* its last messages are read after its end */
    mf_check(!mfi_verdicts_admit(&verdicts, &route, fds[1], admits, &no));
    mf_check(mfi_verdicts_admit(&verdicts, &route, fds[0], admits, &no));
    (void)close(fds[1]);
}

/* The last messages of a peer are read after its connection has ended. */
static void test_a_closed_connection_keeps_its_verdict(void)
{
    mfi_verdicts verdicts = {0};
    judge at = {.admits = true};
    mfi_route route = route_of("");
    int fd = new_socket();
    mf_check(mfi_verdicts_admit(&verdicts, &route, fd, admits, &at));
    (void)close(fd);
    at.admits = false;
    mf_check(mfi_verdicts_admit(&verdicts, &route, fd, admits, &at));
    mf_check_int(at.asked, 1);
}

/* More sources than places: each verdict is right, however often it is asked for. */
static void test_sources_share_places(void)
{
    mfi_verdicts verdicts = {0};
    judge yes = {.admits = true};
    judge no = {.admits = false};
    int fd = new_socket();
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 4 * MFI_VERDICTS; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "%d", i);
            mfi_route route = route_of(name);
            mf_check_int(mfi_verdicts_admit(&verdicts, &route, fd, admits, i % 2 ? &yes : &no),
                         i % 2);
        }
    }
    mf_check(yes.asked + no.asked > 4 * MFI_VERDICTS);
    (void)close(fd);
}

static void test_a_closed_end_has_gone(void)
{
    int ends[2] = {-1, -1};
    mf_check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    mf_check(!mfi_has_gone(ends[0]));
    mf_check_int(write(ends[1], "x", 1), 1); /* bytes are no end */
    mf_check(!mfi_has_gone(ends[0]));
    (void)close(ends[1]);
    mf_check(mfi_has_gone(ends[0]));
    (void)close(ends[0]);
    mf_check(mfi_has_gone(ends[0])); /* nor is there a descriptor */
}

static const mf_test tests[] = {
    {"verdicts__a_source_is_judged_once", test_a_source_is_judged_once},
    {"verdicts__an_identity_is_not_inherited", test_an_identity_is_not_inherited},
    {"verdicts__a_closed_connection_keeps_its_verdict", test_a_closed_connection_keeps_its_verdict},
    {"verdicts__sources_of_one_route_are_judged_once", test_sources_of_one_route_are_judged_once},
    {"verdicts__sources_share_places", test_sources_share_places},
    {"verdicts__a_closed_end_has_gone", test_a_closed_end_has_gone},
};
MF_TEST_MAIN(tests)
