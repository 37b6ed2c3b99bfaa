/* A connection: lines are answered in order, however they are cut, and both sides are bounded. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/client.h"
#include "mf_test.h"

typedef struct rig {
    mfi_admin_client client;
    int peer;
    int lines, too_long;
    size_t answer_bytes;
} rig;

static void answer(void *self, const mfi_admin_client *client, const char *line, size_t length,
                   mfi_buf *out)
{
    rig *at = self;
    mf_check_int(client->uid, 7);
    at->lines++;
    at->too_long += line == NULL;
    if (at->answer_bytes > 0) {
        for (size_t i = 0; i < at->answer_bytes; i++) {
            mfi_buf_append_byte(out, 'x');
        }
    } else {
        mfi_buf_append_str(out, "<");
        mfi_buf_append(out, line != NULL ? line : "long", line != NULL ? length : 4);
        mfi_buf_append_str(out, ">\n");
    }
}

static void setup(rig *at)
{
    int pair[2] = {-1, -1};
    memset(at, 0, sizeof *at);
    mf_check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    at->peer = pair[1];
    mfi_admin_client_init(&at->client, pair[0], 7, 8, 1);
}

static void teardown(rig *at)
{
    mfi_admin_client_end(&at->client);
    mf_check_int(at->client.fd, -1);
    (void)close(at->peer);
}

static bool serve_once(rig *at)
{
    return mfi_admin_client_serve(&at->client, 5, answer, at);
}

/* Turns as long as the socket's thread would give them without anything new. */
static bool serve(rig *at)
{
    struct pollfd polled = {.fd = at->client.fd, .events = POLLIN};
    bool stays = serve_once(at);
    while (stays && !mfi_admin_client_waits(&at->client) &&
           (mfi_admin_client_has_line(&at->client) || poll(&polled, 1, 0) > 0)) {
        stays = serve_once(at);
    }
    return stays;
}

static void put(rig *at, const char *text)
{
    mf_check_int(send(at->peer, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void check_got(rig *at, const char *wanted)
{
    char got[256];
    ssize_t size = recv(at->peer, got, sizeof got - 1, MSG_DONTWAIT);
    got[size > 0 ? size : 0] = '\0';
    mf_check_str(got, wanted);
}

static void test_lines(void)
{
    rig at;
    setup(&at);
    put(&at, "on");
    mf_check(serve(&at));
    check_got(&at, "");
    put(&at, "e\ntwo\n\nthr");
    mf_check(serve(&at));
    check_got(&at, "<one>\n<two>\n<>\n");
    put(&at, "ee\n");
    mf_check(serve(&at));
    check_got(&at, "<three>\n");
    mf_check_int(at.client.heard_ns, 5);
    teardown(&at);
}

/* Other clients, and the end of the socket, come between two lines. */
static void test_one_line_in_a_turn(void)
{
    rig at;
    setup(&at);
    put(&at, "one\ntwo\nthr");
    mf_check(serve_once(&at));
    check_got(&at, "<one>\n");
    mf_check(mfi_admin_client_has_line(&at.client));
    mf_check(serve_once(&at));
    check_got(&at, "<two>\n");
    mf_check(!mfi_admin_client_has_line(&at.client));
    teardown(&at);
}

static void test_the_end(void)
{
    rig at;
    setup(&at);
    put(&at, "last\ncut");
    mf_check_int(shutdown(at.peer, SHUT_WR), 0);
    mf_check(!serve(&at));
    check_got(&at, "<last>\n");
    mf_check_int(at.lines, 1);
    teardown(&at);
}

static void test_longest_line(void)
{
    rig at;
    char line[MFI_ADMIN_LINE_MAX + 3];
    setup(&at);
    memset(line, 'a', sizeof line);
    line[MFI_ADMIN_LINE_MAX] = '\n';
    line[MFI_ADMIN_LINE_MAX + 1] = '\0';
    put(&at, line);
    mf_check(serve(&at));
    mf_check_int(at.lines, 1);
    mf_check_int(at.too_long, 0);
    line[MFI_ADMIN_LINE_MAX] = 'a';
    line[MFI_ADMIN_LINE_MAX + 1] = '\n';
    line[MFI_ADMIN_LINE_MAX + 2] = '\0';
    put(&at, line);
    put(&at, "next\n");
    mf_check(serve(&at));
    mf_check_int(at.lines, 3);
    mf_check_int(at.too_long, 1);
    teardown(&at);
}

/* A client that takes no answer gets no further one made. */
static void test_slow(void)
{
    rig at;
    setup(&at);
    at.answer_bytes = MFI_ADMIN_OUT_MAX;
    int before = -1;
    while (before != at.lines) {
        before = at.lines;
        (void)!send(at.peer, "a\n", 2, MSG_DONTWAIT);
        mf_check(serve(&at));
    }
    mf_check(mfi_admin_client_waits(&at.client));
    mf_check(at.client.out.size <= MFI_ADMIN_OUT_MAX);
    char *drain = malloc(MFI_ADMIN_OUT_MAX);
    while (recv(at.peer, drain, MFI_ADMIN_OUT_MAX, MSG_DONTWAIT) > 0) {
    }
    free(drain);
    mf_check(serve(&at));
    mf_check_int(at.lines, before + 1); /* the line that waited */
    teardown(&at);
}

static const mf_test tests[] = {
    {"client__lines_are_answered_however_they_are_cut", test_lines},
    {"client__one_line_in_a_turn", test_one_line_in_a_turn},
    {"client__the_end_is_seen", test_the_end},
    {"client__the_longest_line", test_longest_line},
    {"client__a_slow_one_holds_one_answer", test_slow},
};
MF_TEST_MAIN(tests)
