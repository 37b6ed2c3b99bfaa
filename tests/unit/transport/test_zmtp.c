/* Greeting, READY, PONG and frame heads have the specified bytes, and a peer's malformed ones are
 * refused. */
#include <stdlib.h>
#include <string.h>

#include "core/transport/direct/zmtp.h"
#include "mf_test.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PADDING "\0\0\0\0\0\0\0\0"
#define SIXTEEN "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NULL_MECHANISM "NULL" SIXTEEN
#define AS_SERVER_AND_FILLER SIXTEEN SIXTEEN

typedef struct bytes {
    const uint8_t *data;
    size_t size;
} bytes;

/* In memory that is exactly as large, so that a sanitizer sees what is read behind it. */
static uint8_t *exact(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    return copy;
}

static void check_bytes(const uint8_t *got, size_t got_size, const uint8_t *wanted, size_t size)
{
    mf_check_int(got_size, size);
    mf_check(got_size == size && memcmp(got, wanted, size) == 0);
}

/* ---- Greeting ---- */

static void test_greeting_is_the_specified_bytes(void)
{
    uint8_t greeting[MFI_ZMTP_GREETING_BYTES];
    memset(greeting, 0xAA, sizeof greeting);
    mfi_zmtp_greeting(greeting);
    check_bytes(greeting, sizeof greeting,
                BYTES("\xFF" PADDING "\x7F\3\1" NULL_MECHANISM AS_SERVER_AND_FILLER));
    mf_check(mfi_zmtp_greeting_fits(greeting, sizeof greeting));
}

static bool greeting_fits(const uint8_t *greeting, size_t size)
{
    uint8_t *copy = exact(greeting, size);
    bool fits = mfi_zmtp_greeting_fits(copy, size);
    free(copy);
    return fits;
}

static void test_greeting_of_zmtp_3_fits_at_every_length(void)
{
    static const char *const greetings[] = {
        "\xFF" PADDING "\x7F\3\0" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF" PADDING "\x7F\3\1" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF" PADDING "\x7F\3\2" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF" PADDING "\x7F\3\xFF" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF" PADDING "\x7F\4\0" NULL_MECHANISM AS_SERVER_AND_FILLER, /* higher ones MUST be */
        /* libzmq: the size of its identity and one, for ZMTP 1; without one, and "worker-7" */
        "\xFF\0\0\0\0\0\0\0\1\x7F\3\1" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF\0\0\0\0\0\0\0\x09\x7F\3\1" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\3\1" NULL_MECHANISM AS_SERVER_AND_FILLER,
        "\xFF" PADDING "\x7F\3\1" NULL_MECHANISM "\1" SIXTEEN SIXTEEN,         /* as-server */
        "\xFF" PADDING "\x7F\3\1" NULL_MECHANISM "\0" SIXTEEN "later" SIXTEEN, /* filler */
    };
    for (size_t i = 0; i < COUNT(greetings); i++) {
        for (size_t size = 0; size <= MFI_ZMTP_GREETING_BYTES; size++) {
            mf_check(greeting_fits((const uint8_t *)greetings[i], size));
        }
    }
}

static void test_greeting_is_refused_from_the_wrong_byte_on(void)
{
    static const struct {
        size_t right; /* bytes that could still be those of a greeting */
        bytes greeting;
    } others[] = {
        {0, {BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")}},
        {0, {BYTES("\x16\3\1\2\0\1\0\1\xFC\3\3")}}, /* TLS hello */
        {0, {BYTES("\1\0")}},                       /* ZMTP 1, no identity */
        {0, {BYTES("\x7F" PADDING "\xFF\3\1NULL")}},
        {9, {BYTES("\xFF\0\0\0\0\0\0\1\0\0identity")}}, /* ZMTP 1, a long one */
        {10, {BYTES("\xFF" PADDING "\x7F\0")}},
        {10, {BYTES("\xFF" PADDING "\x7F\1\5\0\0")}}, /* ZMTP 2, a DEALER */
        {10, {BYTES("\xFF" PADDING "\x7F\2")}},
        {12, {BYTES("\xFF" PADDING "\x7F\3\1PLAIN")}},
        {12, {BYTES("\xFF" PADDING "\x7F\3\1CURVE")}},
        {12, {BYTES("\xFF" PADDING "\x7F\3\1GSSAPI")}},
        {12, {BYTES("\xFF" PADDING "\x7F\3\1null")}},
        {12, {BYTES("\xFF" PADDING "\x7F\3\1\0\0\0\0")}},
        {15, {BYTES("\xFF" PADDING "\x7F\3\1NUL\0")}},
        {16, {BYTES("\xFF" PADDING "\x7F\3\1NULL2")}},
        {31, {BYTES("\xFF" PADDING "\x7F\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0X")}},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        uint8_t greeting[MFI_ZMTP_GREETING_BYTES] = {0};
        memcpy(greeting, others[i].greeting.data, others[i].greeting.size);
        for (size_t size = 0; size <= sizeof greeting; size++) {
            mf_check_int(greeting_fits(greeting, size), size <= others[i].right);
        }
    }
}

/* ---- READY ---- */

#define READY "\5READY"
#define TYPE "\13Socket-Type"
#define DEALER TYPE "\0\0\0\6DEALER"

static bool ready_fits(const uint8_t *body, size_t size, bool is_router)
{
    uint8_t *copy = exact(body, size);
    bool fits = mfi_zmtp_ready_fits(copy, size, is_router);
    free(copy);
    return fits;
}

static void test_ready_is_the_specified_bytes(void)
{
    uint8_t frame[MFI_ZMTP_READY_BYTES];
    size_t size = mfi_zmtp_ready(frame, false);
    check_bytes(frame, size, BYTES("\4\x1C" READY DEALER));
    mf_check(ready_fits(frame + 2, size - 2, true));
    mf_check(ready_fits(frame + 2, size - 2, false));
    size = mfi_zmtp_ready(frame, true);
    check_bytes(frame, size, BYTES("\4\x1C" READY TYPE "\0\0\0\6ROUTER"));
    mf_check(ready_fits(frame + 2, size - 2, true));
    mf_check(ready_fits(frame + 2, size - 2, false));
}

/* Bodies as libzmq 4.3 sends them. */
static void test_ready_of_libzmq_fits(void)
{
    mf_check(ready_fits(BYTES(READY DEALER "\10Identity\0\0\0\0"), true));
    mf_check(ready_fits(BYTES(READY DEALER "\10Identity\0\0\0\10worker-7"), true));
    mf_check(ready_fits(BYTES(READY TYPE "\0\0\0\3REQ\10Identity\0\0\0\0"), true));
    mf_check(ready_fits(BYTES(READY TYPE "\0\0\0\6ROUTER\10Identity\0\0\0\0"), false));
    mf_check(ready_fits(BYTES(READY TYPE "\0\0\0\3REP"), false));
    mf_check(!ready_fits(BYTES(READY TYPE "\0\0\0\3PUB"), true));
    mf_check(!ready_fits(BYTES(READY TYPE "\0\0\0\3PUB"), false));
}

/* A property whose name has as many letters as Socket-Type. */
static bool named_fits(const char *name, const char *value)
{
    uint8_t body[28] = READY "\13";
    memcpy(body + 7, name, 11);
    memcpy(body + 18, "\0\0\0\6", 4);
    memcpy(body + 22, value, 6);
    return ready_fits(body, sizeof body, true);
}

static void test_ready_names_have_no_case_but_values_do(void)
{
    static const char *const names[] = {"Socket-Type", "SOCKET-TYPE", "socket-type", "sOCKET-tYPE"};
    static const char *const others[] = {"Socket_Type", "Socket\rType", "Zocket-Type",
                                         "Socket-Typ\x05", "\x93ocket-Type"};
    for (size_t i = 0; i < COUNT(names); i++) {
        mf_check(named_fits(names[i], "DEALER"));
        mf_check(!named_fits(names[i], "dealer"));
        mf_check(!named_fits(names[i], "Dealer"));
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        mf_check(!named_fits(others[i], "DEALER"));
    }
}

static void test_ready_skips_unknown_properties(void)
{
    mf_check(ready_fits(BYTES(READY "\10Resource\0\0\0\3a/b\6X-Lang\0\0\0\1C" DEALER), true));
    mf_check(ready_fits(BYTES(READY DEALER "\10Resource\0\0\0\0\6X-Lang\0\0\0\1C"), true));
    /* One whose value looks like what is looked for. */
    mf_check(!ready_fits(BYTES(READY "\10Identity\0\0\0\x16" DEALER), true));
    mf_check(ready_fits(BYTES(READY "\10Identity\0\0\0\3PUB" DEALER), true));
}

static void test_ready_of_the_wrong_socket_is_refused(void)
{
    static const struct {
        const char *type;
        bool fits_dealer, fits_router; /* the columns of RFC 37's table */
    } all[] = {
        {"REQ", false, true},     {"REP", true, false},      {"DEALER", true, true},
        {"ROUTER", true, true},   {"PUB", false, false},     {"XPUB", false, false},
        {"SUB", false, false},    {"XSUB", false, false},    {"PUSH", false, false},
        {"PULL", false, false},   {"PAIR", false, false},    {"CLIENT", false, false},
        {"SERVER", false, false}, {"RADIO", false, false},   {"DISH", false, false},
        {"PEER", false, false},   {"CHANNEL", false, false}, {"STREAM", false, false},
        {"", false, false},       {"DEALE", false, false},   {"DEALERS", false, false},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        uint8_t body[64];
        size_t size = strlen(all[i].type);
        memcpy(body, READY TYPE "\0\0\0", 21);
        body[21] = (uint8_t)size;
        memcpy(body + 22, all[i].type, size);
        mf_check_int(ready_fits(body, 22 + size, false), all[i].fits_dealer);
        mf_check_int(ready_fits(body, 22 + size, true), all[i].fits_router);
    }
}

static void test_ready_without_socket_type_is_refused(void)
{
    mf_check(!ready_fits(BYTES(READY), true));
    mf_check(!ready_fits(BYTES(READY "\10Identity\0\0\0\6DEALER"), true));
    mf_check(!ready_fits(BYTES(READY "\12Socket-Typ\0\0\0\6DEALER"), true));
    mf_check(!ready_fits(BYTES(READY "\14Socket-Type2\0\0\0\6DEALER"), true));
    mf_check(!ready_fits(BYTES(READY "\0\0\0\0\6DEALER"), true));
}

static void test_ready_that_is_cut_is_refused(void)
{
    static const char body[] = READY "\10Identity\0\0\0\3abc" DEALER;
    for (size_t size = 0; size < sizeof body - 1; size++) {
        mf_check(!ready_fits((const uint8_t *)body, size, true));
    }
    mf_check(ready_fits(BYTES(body), true));
    /* Whole, and the beginning of one more property. */
    mf_check(!ready_fits(BYTES(READY DEALER "\0"), true));
    mf_check(!ready_fits(BYTES(READY DEALER "\1"), true));
    mf_check(!ready_fits(BYTES(READY DEALER "\1x\0\0\0"), true));
    mf_check(!ready_fits(BYTES(READY DEALER "\1x\0\0\0\1"), true));
    mf_check(ready_fits(BYTES(READY DEALER "\1x\0\0\0\0"), true));
}

static void test_ready_with_lengths_beyond_the_end_is_refused(void)
{
    mf_check(!ready_fits(BYTES(READY TYPE "\377\377\377\377DEALER"), true));
    mf_check(!ready_fits(BYTES(READY TYPE "\177\377\377\377DEALER"), true));
    mf_check(!ready_fits(BYTES(READY TYPE "\x80\0\0\6DEALER"), true));
    mf_check(!ready_fits(BYTES(READY TYPE "\0\0\0\7DEALER"), true));
    mf_check(!ready_fits(BYTES(READY TYPE "\6\0\0\0DEALER"), true)); /* the wrong way round */
    mf_check(!ready_fits(BYTES(READY DEALER "\1x\xFF\xFF\xFF\xFF"), true));
    mf_check(!ready_fits(BYTES(READY DEALER "\xFFx\0\0\0\0"), true));
    mf_check(!ready_fits(BYTES(READY "\377Socket-Type\0\0\0\6DEALER"), true));
}

static void test_other_commands_are_no_ready(void)
{
    mf_check(!ready_fits(BYTES(""), true));
    mf_check(!ready_fits(BYTES("\5ERROR" DEALER), true));
    mf_check(!ready_fits(BYTES("\5ready" DEALER), true));
    mf_check(!ready_fits(BYTES("\4READ" DEALER), true));
    mf_check(!ready_fits(BYTES("\6READY2" DEALER), true));
    mf_check(!ready_fits(BYTES("\4READY" DEALER), true));
    mf_check(!ready_fits(BYTES("\4PING\0\0"), true));
}

/* ---- PING ---- */

static void check_pong(const uint8_t *body, size_t size, const uint8_t *wanted, size_t wanted_size)
{
    uint8_t *frame = malloc(MFI_ZMTP_PONG_BYTES);
    uint8_t *copy = exact(body, size);
    size_t got = mfi_zmtp_pong(frame, copy, size);
    check_bytes(frame, got, wanted, wanted_size);
    free(copy);
    free(frame);
}

static void test_pong_repeats_the_context(void)
{
    check_pong(BYTES("\4PING\0\0"), BYTES("\4\5\4PONG"));
    check_pong(BYTES("\4PING\xFF\xFF"), BYTES("\4\5\4PONG"));
    check_pong(BYTES("\4PING\0\12x"), BYTES("\4\6\4PONGx"));
    check_pong(BYTES("\4PING\0\12abcdefghijklmnop"), BYTES("\4\x15\4PONGabcdefghijklmnop"));
    check_pong(BYTES("\4PING\0\0" SIXTEEN), BYTES("\4\x15\4PONG" SIXTEEN));
}

static void test_nothing_else_is_answered(void)
{
    static const bytes others[] = {
        {BYTES("")},
        {BYTES("\4")},
        {BYTES("\4PING")},
        {BYTES("\4PING\0")},
        {BYTES("\4PONG\0\0")},
        {BYTES("\4ping\0\0")},
        {BYTES("\3PING\0\0")},
        {BYTES("\5PINGS\0\0")},
        {BYTES("\3PIN\0\0")},
        {BYTES("PING\0\0\0")},
        {BYTES(READY DEALER)},
        {BYTES("\5ERROR\0")},
        {BYTES("\4PING\0\0abcdefghijklmnopq")},
    };
    uint8_t long_one[MFI_ZMTP_COMMAND_BYTES] = "\4PING";
    for (size_t i = 0; i < COUNT(others); i++) {
        check_pong(others[i].data, others[i].size, BYTES(""));
    }
    check_pong(long_one, sizeof long_one, BYTES(""));
}

/* ---- Front ---- */

static void test_front_takes_the_short_form_up_to_255(void)
{
    static const struct {
        uint64_t size;
        bytes front;
    } all[] = {
        {0, {BYTES("\1\0\0\0")}},
        {1, {BYTES("\1\0\0\1")}},
        {255, {BYTES("\1\0\0\xFF")}},
        {256, {BYTES("\1\0\2\0\0\0\0\0\0\1\0")}},
        {UINT64_C(1) << 32, {BYTES("\1\0\2\0\0\0\1\0\0\0\0")}},
        {UINT64_C(0x0102030405060708), {BYTES("\1\0\2\1\2\3\4\5\6\7\10")}},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        uint8_t front[MFI_ZMTP_FRONT_BYTES];
        size_t size = mfi_zmtp_front(front, all[i].size);
        check_bytes(front, size, all[i].front.data, all[i].front.size);
    }
}

static const mf_test tests[] = {
    {"greeting__is_the_specified_bytes", test_greeting_is_the_specified_bytes},
    {"greeting__of_zmtp_3_fits_at_every_length", test_greeting_of_zmtp_3_fits_at_every_length},
    {"greeting__is_refused_from_the_wrong_byte_on",
     test_greeting_is_refused_from_the_wrong_byte_on},
    {"ready__is_the_specified_bytes", test_ready_is_the_specified_bytes},
    {"ready__of_libzmq_fits", test_ready_of_libzmq_fits},
    {"ready__names_have_no_case_but_values_do", test_ready_names_have_no_case_but_values_do},
    {"ready__skips_unknown_properties", test_ready_skips_unknown_properties},
    {"ready__of_the_wrong_socket_is_refused", test_ready_of_the_wrong_socket_is_refused},
    {"ready__without_socket_type_is_refused", test_ready_without_socket_type_is_refused},
    {"ready__that_is_cut_is_refused", test_ready_that_is_cut_is_refused},
    {"ready__with_lengths_beyond_the_end_is_refused",
     test_ready_with_lengths_beyond_the_end_is_refused},
    {"ready__is_no_other_command", test_other_commands_are_no_ready},
    {"pong__repeats_the_context", test_pong_repeats_the_context},
    {"pong__answers_nothing_else", test_nothing_else_is_answered},
    {"front__takes_the_short_form_up_to_255", test_front_takes_the_short_form_up_to_255},
};
MF_TEST_MAIN(tests)
