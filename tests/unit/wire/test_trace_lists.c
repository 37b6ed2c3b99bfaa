/* What of a tracestate and of baggage is passed on: sound texts as they came, of long ones whole
 * entries, of malformed ones nothing. */
#include "core/wire/trace_lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/carried.h"
#include "mf_test.h"

static const char *const allowed[] = {"user", "shop", NULL};

static mfi_text text_of(const char *text)
{
    return (mfi_text){text, strlen(text)};
}

/* What is passed on of the text; "" for nothing. */
static const char *state_of(const char *text)
{
    static char to[MFI_TRACESTATE_MAX_BYTES + 1];
    to[mfi_tracestate_read(text_of(text), to)] = '\0';
    return to;
}

static const char *baggage_of(const char *text, const char *const *keys)
{
    static char to[MFI_BAGGAGE_MAX_BYTES + 1];
    to[mfi_baggage_read(text_of(text), keys, to)] = '\0';
    return to;
}

/* Appends "<name>=<filler>" with `size` bytes, and a comma before it if it is not the first. */
static void add_entry(char *to, const char *name, size_t size)
{
    if (to[0] != '\0') {
        (void)strcat(to, ",");
    }
    size_t end = strlen(to) + size;
    (void)strcat(to, name);
    (void)strcat(to, "=");
    memset(to + strlen(to), 'v', end - strlen(to));
    to[end] = '\0';
}

/* ---- tracestate ---- */

static void test_sound_states_stay_as_they_are(void)
{
    static const char *const sound[] = {
        "a=1",
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "a=1 , b=2\t,\tc=3", /* blanks around commas */
        "a=1,,b=2",          /* empty entries */
        ",a=1,",
        "fw529a3039@dt=FfAAFMYBAAA",
        "0tenant@vendor=1",
        "a-b_c*d/e0=x",
        "a=with blank inside",
        "a= leading",
        "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
        "a=1,a=2", /* one key twice */
    };
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        mf_check_str(state_of(sound[i]), sound[i]);
    }
}

static void test_malformed_states_are_dropped_whole(void)
{
    static const char *const bad[] = {
        "",
        ",, ,\t",
        "a",
        "a=",
        "=1",
        "A=1",
        "0a=1", /* a digit begins only a tenant */
        "a b=1",
        "a =1",
        "a.b=1",
        "a=1=2",
        "a=1,b",
        "a=1;b=2,c",
        "@v=1",
        "t@=1",
        "t@0v=1",
        "t@v@w=1",
        "t@abcdefghijklmno=1", /* a vendor of 15 characters */
        "a=1\n",
        "a=1\r\nX-Evil: 1",
        "a=\x7f",
        "a=\x01",
        "a=\xc3\xa4",
        "\xff",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_check_str(state_of(bad[i]), "");
    }
    char to[MFI_TRACESTATE_MAX_BYTES];
    mf_check_int(mfi_tracestate_read((mfi_text){"a=1\0", 4}, to), 0);
    mf_check_int(mfi_tracestate_read((mfi_text){NULL, 0}, to), 0);
}

static void test_bounds_of_keys_values_and_entries(void)
{
    char text[1024];
    char many[256] = "";
    memset(text, 'k', sizeof text);
    (void)memcpy(text + 256, "=1", 3);
    mf_check_str(state_of(text), text);
    text[256] = 'k';
    (void)memcpy(text + 257, "=1", 3);
    mf_check_str(state_of(text), "");
    memset(text, 'k', sizeof text);
    (void)memcpy(text, "a=", 2);
    text[258] = '\0';
    mf_check_str(state_of(text), text); /* a value of 256 characters */
    text[258] = 'k';
    text[259] = '\0';
    mf_check_str(state_of(text), "");
    memset(text, 'k', 241);
    (void)memcpy(text + 241, "@v=1", 5);
    mf_check_str(state_of(text), text);
    text[241] = 'k';
    (void)memcpy(text + 242, "@v=1", 5);
    mf_check_str(state_of(text), "");
    for (int i = 0; i < 32; i++) {
        add_entry(many, "a", 3);
    }
    mf_check_str(state_of(many), many);
    add_entry(many, "a", 3);
    mf_check_str(state_of(many), ""); /* 33 */
}

static void test_large_entries_are_left_out_first(void)
{
    char text[1200] = "";
    char wanted[1200] = "";
    add_entry(text, "first", 129);
    add_entry(text, "second", 128);
    add_entry(text, "third", 128);
    add_entry(text, "fourth", 129); /* 517 with the commas */
    add_entry(wanted, "first", 129);
    add_entry(wanted, "second", 128);
    add_entry(wanted, "third", 128); /* the last large one is enough */
    mf_check_str(state_of(text), wanted);
}

static void test_last_entries_are_left_out_then(void)
{
    char text[1200] = "";
    char wanted[1200] = "";
    add_entry(text, "first", 200);
    for (int i = 0; i < 5; i++) {
        add_entry(text, "small", 127);
    }
    for (int i = 0; i < 4; i++) {
        add_entry(wanted, "small", 127);
    }
    mf_check_int(strlen(wanted), 511);
    mf_check_str(state_of(text), wanted);
}

static void test_size_is_exact(void)
{
    char text[1200] = "";
    for (int i = 0; i < 4; i++) {
        add_entry(text, "small", i == 0 ? 128 : 127);
    }
    mf_check_int(strlen(text), MFI_TRACESTATE_MAX_BYTES);
    mf_check_str(state_of(text), text);
    char longer[1202];
    (void)snprintf(longer, sizeof longer, "%s ", text); /* a blank more: the entries still fit */
    mf_check_str(state_of(longer), text);
}

static void test_huge_texts_are_not_read(void)
{
    size_t size = MFI_TRACE_LIST_READ_MAX_BYTES + 1;
    char *text = malloc(size + 1);
    mf_check(text != NULL);
    if (text == NULL) {
        return;
    }
    memset(text, ',', size);
    (void)memcpy(text, "a=1", 3);
    text[size] = '\0';
    mf_check_str(state_of(text), "");
    (void)memcpy(text, "user=1", 6);
    mf_check_str(baggage_of(text, allowed), "");
    text[size - 1] = '\0';
    mf_check_str(baggage_of(text, allowed), "user=1");
    (void)memcpy(text, "a=1,,,", 6);
    mf_check_str(state_of(text), "a=1");
    free(text);
}

/* ---- baggage ---- */

static void test_only_allowed_keys_are_passed_on(void)
{
    mf_check_str(baggage_of("user=1,secret=2,shop=3", allowed), "user=1,shop=3");
    mf_check_str(baggage_of("USER=1,users=2,use=3", allowed), "");
    mf_check_str(baggage_of("user=1", NULL), "");
    mf_check_str(baggage_of("user=1,user=2", allowed), "user=1,user=2");
}

static void test_members_keep_their_bytes(void)
{
    mf_check_str(baggage_of(" user = a%20b%E4 ; p ; q=1 ,\tshop=", allowed),
                 "user = a%20b%E4 ; p ; q=1,shop=");
    mf_check_str(baggage_of("user=a=b", allowed), "user=a=b");
    mf_check_str(baggage_of(",user=1,,", allowed), "user=1");
}

static void test_malformed_baggage_is_dropped_whole(void)
{
    static const char *const bad[] = {
        "user",       "user=1,secret", "=1",      "user=a b",      "user=\"1\"",
        "user=a\\b",  "us er=1",       "user=1;", "user=1;;p",     "user=1;=2",
        "user=1;p q", "user=\x7f",     "user=\n", "user=\xc3\xa4", "user=1\r\nX: 1",
        "(user)=1",   "user=1,a=b c",  "us@er=1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mf_check_str(baggage_of(bad[i], allowed), "");
    }
    char to[MFI_BAGGAGE_MAX_BYTES];
    mf_check_int(mfi_baggage_read((mfi_text){"user=\0", 6}, allowed, to), 0);
}

static void test_baggage_is_bounded(void)
{
    char text[4000] = "";
    char wanted[4000] = "";
    add_entry(text, "user", 1024);
    mf_check_str(baggage_of(text, allowed), text);
    (void)strcat(text, "v");
    mf_check_str(baggage_of(text, allowed), "");
    add_entry(text, "shop", 600);
    add_entry(text, "user", 500);
    add_entry(text, "shop", 423);
    add_entry(wanted, "shop", 600);
    add_entry(wanted, "shop", 423);
    mf_check_str(baggage_of(text, allowed), wanted);
}

/* ---- Both ---- */

static void test_both_are_kept(void)
{
    uint64_t id = mfi_trace_lists_keep(text_of("a=1"), text_of("secret=1,user=2"), allowed);
    mf_check_str(mfi_carried_tracestate(id), "a=1");
    mf_check_str(mfi_carried_baggage(id), "user=2");
    mfi_carried_release(id);
    mf_check_int(mfi_trace_lists_keep(text_of("A"), text_of("user=2"), NULL), 0);
}

static const mf_test tests[] = {
    {"sound_states_stay_as_they_are", test_sound_states_stay_as_they_are},
    {"malformed_states_are_dropped_whole", test_malformed_states_are_dropped_whole},
    {"bounds_of_keys_values_and_entries", test_bounds_of_keys_values_and_entries},
    {"large_entries_are_left_out_first", test_large_entries_are_left_out_first},
    {"last_entries_are_left_out_then", test_last_entries_are_left_out_then},
    {"size_is_exact", test_size_is_exact},
    {"huge_texts_are_not_read", test_huge_texts_are_not_read},
    {"only_allowed_keys_are_passed_on", test_only_allowed_keys_are_passed_on},
    {"members_keep_their_bytes", test_members_keep_their_bytes},
    {"malformed_baggage_is_dropped_whole", test_malformed_baggage_is_dropped_whole},
    {"baggage_is_bounded", test_baggage_is_bounded},
    {"both_are_kept", test_both_are_kept},
};
MF_TEST_MAIN(tests)
