/* The ZMTP reader finds the same payloads and commands in pieces of any size, and refuses malformed
 * frames. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/transport/direct/zmtp.h"
#include "mf_test.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOST 1000 /* bytes of a frame */

/* ---- What a reader tells, as text ----
 *
 * "P(hello)" is a payload, "C(..)" a command, "M" malformed, "B" broken; what is no letter or digit
 * is written as in "<04>". A body that is still open has no ")". */
typedef struct ear {
    mfi_zmtp_reader reader;
    char text[4096];
    size_t length;
    uint64_t got; /* of the open body */
    bool is_open; /* a body */
    bool is_broken;
    unsigned parts;
} ear;

static void say(ear *self, const char *text)
{
    self->length +=
        (size_t)snprintf(self->text + self->length, sizeof self->text - self->length, "%s", text);
}

static void say_bytes(ear *self, const uint8_t *data, size_t size)
{
    char text[8];
    for (size_t i = 0; i < size; i++) {
        bool is_plain = (data[i] >= '0' && data[i] <= '9') || (data[i] >= 'A' && data[i] <= 'z');
        (void)snprintf(text, sizeof text, is_plain ? "%c" : "<%02x>", data[i]);
        say(self, text);
    }
}

static void listen_with(ear *self, uint64_t most)
{
    memset(self, 0, sizeof *self);
    memset(&self->reader, 0xAA, sizeof self->reader);
    mfi_zmtp_reader_init(&self->reader, most);
}

/* A part lies within what was read, and is first and last where its body begins and ends. */
static void hear_part(ear *self, const char *begin, const uint8_t *from, const uint8_t *at,
                      const mfi_zmtp_part *part)
{
    self->parts++;
    mf_check(part->data >= from && part->data + part->size == at);
    mf_check_int(part->first, !self->is_open);
    say(self, self->is_open ? "" : begin);
    self->got = (self->is_open ? self->got : 0) + part->size;
    mf_check(self->got <= part->body_size);
    mf_check_int(part->last, self->got == part->body_size);
    mf_check(part->size > 0 || part->body_size == 0);
    say_bytes(self, part->data, part->size);
    say(self, part->last ? ")" : "");
    self->is_open = !part->last;
}

static void hear(ear *self, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* exactly as large: see test_zmtp.c */
    memcpy(copy, data, size);
    const uint8_t *at = copy;
    const uint8_t *end = copy + size;
    mfi_zmtp_kind kind = self->is_broken ? MFI_ZMTP_BROKEN : MFI_ZMTP_PAYLOAD;
    while (kind != MFI_ZMTP_NOTHING && kind != MFI_ZMTP_BROKEN) {
        const uint8_t *from = at;
        mfi_zmtp_part part = {0};
        kind = mfi_zmtp_read(&self->reader, &at, end, &part);
        mf_check(at >= from && at <= end);
        if (kind == MFI_ZMTP_PAYLOAD || kind == MFI_ZMTP_COMMAND) {
            hear_part(self, kind == MFI_ZMTP_PAYLOAD ? "P(" : "C(", from, at, &part);
        } else if (kind == MFI_ZMTP_MALFORMED) {
            say(self, "M");
        } else if (kind == MFI_ZMTP_BROKEN) {
            say(self, "B");
            self->is_broken = true;
            mf_check_int(mfi_zmtp_read(&self->reader, &at, end, &part), MFI_ZMTP_BROKEN);
        } else {
            mf_check(at == end);
        }
    }
    free(copy);
}

/* Whole, in pieces of every size, and cut in two everywhere: the same is told. */
static void check_told(const uint8_t *data, size_t size, const char *wanted)
{
    static ear self;
    for (size_t piece = 1; piece <= size; piece++) {
        listen_with(&self, MOST);
        for (size_t at = 0; at < size; at += piece) {
            hear(&self, data + at, size - at < piece ? size - at : piece);
        }
        mf_check_str(self.text, wanted);
    }
    for (size_t cut = 0; cut <= size; cut++) {
        listen_with(&self, MOST);
        hear(&self, data, cut);
        hear(&self, data + cut, size - cut);
        mf_check_str(self.text, wanted);
    }
}

/* ---- Messages ---- */

static void test_payloads_are_told(void)
{
    check_told(BYTES(""), "");
    check_told(BYTES("\1\0\0\5hello"), "P(hello)");
    check_told(BYTES("\1\0\0\1a\1\0\0\2bc\1\0\0\3def"), "P(a)P(bc)P(def)");
    check_told(BYTES("\1\0\0\2\0\1"), "P(<00><01>)");
    /* Long heads, also where short ones would do; a delimiter that is none. */
    check_told(BYTES("\1\0\2\0\0\0\0\0\0\0\2bc\1\0\0\1d"), "P(bc)P(d)");
    check_told(BYTES("\3\0\0\0\0\0\0\0\0\0\1d\1\0\0\1e"), "P(d)P(e)");
    check_told(BYTES("\1\3abc\0\1d\3\0\0\0\0\0\0\0\2xx\0\1e"), "P(d)P(e)");
}

static void test_payload_is_told_in_parts(void)
{
    static ear self;
    listen_with(&self, MOST);
    hear(&self, BYTES("\1\0\0\6"));
    mf_check_int(self.parts, 0); /* of a head alone there is nothing to tell */
    hear(&self, BYTES(""));
    mf_check_int(self.parts, 0);
    hear(&self, BYTES("ab"));
    mf_check_str(self.text, "P(ab");
    hear(&self, BYTES(""));
    hear(&self, BYTES("c"));
    mf_check_int(self.parts, 2);
    hear(&self, BYTES("def\1"));
    mf_check_str(self.text, "P(abcdef)");
    mf_check_int(self.parts, 3);
}

static void test_all_splits_tell_the_same(void)
{
    static uint8_t row[1024];
    static char wanted[2048];
    static const size_t sizes[] = {0, 1, 255, 256, 2, 0};
    size_t size = 0;
    size_t length = 0;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size += mfi_zmtp_front(row + size, sizes[i]);
        memset(row + size, 'a' + (int)i, sizes[i]);
        size += sizes[i];
        memcpy(wanted + length, "P(", 2);
        memset(wanted + length + 2, 'a' + (int)i, sizes[i]);
        length += 2 + sizes[i];
        wanted[length++] = ')';
        if (i % 2 == 0) {
            memcpy(row + size, "\4\7\4PING\0\0\0\0", 11); /* and a message without payload */
            size += 11;
            memcpy(wanted + length, "C(<04>PING<00><00>)M", 20);
            length += 20;
        }
    }
    check_told(row, size, wanted);
}

static void test_empty_payload_is_told_at_once(void)
{
    static ear self;
    listen_with(&self, 0);
    hear(&self, BYTES("\1\0\0"));
    mf_check_str(self.text, "");
    hear(&self, BYTES("\0"));
    mf_check_str(self.text, "P()");
    mf_check_int(self.parts, 1);
    hear(&self, BYTES("\1\0\2\0\0\0\0\0\0\0\0"));
    mf_check_str(self.text, "P()P()");
    check_told(BYTES("\1\0\0\0\1\0\0\0\4\0\1\0\0\0"), "P()P()C()P()");
}

static void test_further_frames_are_ignored(void)
{
    check_told(BYTES("\1\0\1\1a\0\1b\1\0\0\1c"), "P(a)P(c)");
    check_told(BYTES("\1\0\1\1a\1\1b\1\0\1\2cd\0\0\1\0\0\1e"), "P(a)P(e)");
    check_told(BYTES("\1\0\1\0\2\0\0\0\0\0\0\0\3bcd\1\0\0\1e"), "P()P(e)");
    check_told(BYTES("\1\0\1\1a\0\2b"), "P(a)");
}

static void test_commands_stand_anywhere_between_frames(void)
{
    check_told(BYTES("\4\3abc"), "C(abc)");
    check_told(BYTES("\6\0\0\0\0\0\0\0\3abc\4\0"), "C(abc)C()");
    check_told(BYTES("\4\1a\1\0\0\1b\4\1c\1\0\0\1d"), "C(a)P(b)C(c)P(d)");
    check_told(BYTES("\1\0\4\1a\0\1b\1\0\0\1c"), "C(a)P(b)P(c)");
    check_told(BYTES("\1\0\4\1a\4\0\1\1b\4\1c\0\1d\1\0\0\1e"), "C(a)C()P(b)C(c)P(e)");
    check_told(BYTES("\1\0\1\1b\0\1d\4\1c\0\0\1\0\0\1e"), "P(b)C(c)MP(e)");
}

static void test_message_of_one_frame_is_malformed(void)
{
    check_told(BYTES("\0\0"), "M");
    check_told(BYTES("\0\3abc"), "M");
    check_told(BYTES("\0\3ab"), ""); /* not over yet */
    check_told(BYTES("\2\0\0\0\0\0\0\0\2ab"), "M");
    check_told(BYTES("\1\0\0\1a\0\2bc\0\0\1\0\0\1d\0\0"), "P(a)MMP(d)M");
    check_told(BYTES("\4\1a\0\1b\1\0\0\1c"), "C(a)MP(c)");
}

/* ---- What is refused ---- */

/* Nothing behind the head is read, which is where it is noticed. */
static void check_broken(uint64_t most, const uint8_t *head, size_t size)
{
    static ear self;
    listen_with(&self, most);
    hear(&self, head, size - 1);
    mf_check_str(self.text, "");
    hear(&self, head + size - 1, 1);
    mf_check_str(self.text, "B");

    uint8_t more[32] = {0};
    const uint8_t *at = more;
    mfi_zmtp_part part;
    memcpy(more, head, size);
    mfi_zmtp_reader_init(&self.reader, most);
    mf_check_int(mfi_zmtp_read(&self.reader, &at, more + sizeof more, &part), MFI_ZMTP_BROKEN);
    mf_check(at == more + size);
}

static void test_unknown_flags_are_broken(void)
{
    for (unsigned flags = 8; flags <= 0xFF; flags++) {
        uint8_t head[9] = {(uint8_t)flags};
        check_broken(MOST, head, (flags & 2) != 0 ? 9 : 2);
    }
    check_told(BYTES("\1\0\0\1a\1\0\x08\1b\1\0\0\1c"), "P(a)B");
    check_told(BYTES("HTTP/1.1 400 Bad Request\r\n"), "B");
}

static void test_commands_of_several_frames_are_broken(void)
{
    check_broken(MOST, BYTES("\5\0"));
    check_broken(MOST, BYTES("\5\3"));
    check_broken(MOST, BYTES("\7\0\0\0\0\0\0\0\1"));
}

static void test_long_commands_are_broken(void)
{
    static ear self;
    uint8_t command[9 + MFI_ZMTP_COMMAND_BYTES] = {6, [7] = 2}; /* 512 bytes */
    listen_with(&self, 0);                                      /* which is for messages */
    hear(&self, command, sizeof command);
    mf_check(self.got == MFI_ZMTP_COMMAND_BYTES && !self.is_open && !self.is_broken);
    mf_check_int(self.parts, 1);
    check_broken(UINT64_MAX, BYTES("\6\0\0\0\0\0\0\2\1"));
    check_broken(UINT64_MAX, BYTES("\6\0\0\0\1\0\0\0\0"));
    check_broken(UINT64_MAX, BYTES("\6\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
    check_broken(UINT64_MAX, BYTES("\6\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
}

static void test_bodies_beyond_the_limit_are_broken(void)
{
    check_told(BYTES("\1\0\2\0\0\0\0\0\0\3\xE8"), "");  /* 1000 */
    check_told(BYTES("\1\0\2\0\0\0\0\0\0\3\xE9"), "B"); /* 1001 */
    check_told(BYTES("\1\0\2\0\0\0\1\0\0\0\1"), "B");   /* 2^32 + 1 */
    check_told(BYTES("\1\0\2\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), "B");
    check_told(BYTES("\1\0\2\x80\0\0\0\0\0\0\0"), "B");
    check_told(BYTES("\1\0\2\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), "B");
    /* Of every frame. */
    check_broken(2, BYTES("\1\3"));
    check_broken(2, BYTES("\0\3"));
    check_broken(0, BYTES("\0\1"));
    check_told(BYTES("\1\0\1\1a\2\0\0\0\0\0\0\3\xE9"), "P(a)B");
}

/* ---- Read elsewhere ---- */

static void check_left(ear *self, const uint8_t *data, size_t size, uint64_t left)
{
    hear(self, data, size);
    mf_check_int(mfi_zmtp_payload_left(&self->reader), left);
}

static void test_left_is_of_a_payload_alone(void)
{
    static ear self;
    listen_with(&self, MOST);
    mf_check_int(mfi_zmtp_payload_left(&self.reader), 0);
    check_left(&self, BYTES("\1"), 0);
    check_left(&self, BYTES("\2a"), 0); /* within the delimiter */
    check_left(&self, BYTES("b\1"), 0);
    check_left(&self, BYTES("\4"), 4);
    check_left(&self, BYTES("c"), 3);
    check_left(&self, BYTES("def"), 0);
    check_left(&self, BYTES("\0\3gh"), 0); /* within what is ignored */
    check_left(&self, BYTES("i\4\3j"), 0); /* within a command */
    check_left(&self, BYTES("kl\1\0\4\2m"), 0);
    check_left(&self, BYTES("n\1\1o\4\2p"), 0); /* within one behind the payload */
    check_left(&self, BYTES("q\0\0\1\0\2\0\0\0\0\0\0\2\0"), 512);
    mf_check_str(self.text, "P(cdef)C(jkl)C(mn)P(o)C(pq)");
    listen_with(&self, UINT64_MAX);
    check_left(&self, BYTES("\1\0\2\0\0\0\1\0\0\0\0ab"), (UINT64_C(1) << 32) - 2);
}

/* The rest of a payload goes elsewhere at once, or in two steps; what follows is told as ever. */
static void check_taken(const uint8_t *data, size_t size, uint64_t first_step, const char *wanted)
{
    static ear self;
    listen_with(&self, MOST);
    hear(&self, BYTES("\1\0"));
    hear(&self, data, size);
    uint64_t left = mfi_zmtp_payload_left(&self.reader);
    mfi_zmtp_took(&self.reader, first_step);
    mf_check_int(mfi_zmtp_payload_left(&self.reader), left - first_step);
    if (first_step < left) {
        mfi_zmtp_took(&self.reader, left - first_step);
        mf_check_int(mfi_zmtp_payload_left(&self.reader), 0);
    }
    self.is_open = false;
    hear(&self, BYTES("\4\1x\1\0\0\1y\0\0"));
    mf_check_str(self.text, wanted);
}

static void test_rest_of_a_payload_is_taken_elsewhere(void)
{
    check_taken(BYTES("\0\5a"), 4, "P(aC(x)P(y)M");
    check_taken(BYTES("\0\5a"), 3, "P(aC(x)P(y)M");
    check_taken(BYTES("\0\5a"), 0, "P(aC(x)P(y)M");
    check_taken(BYTES("\0\5abcd"), 1, "P(abcdC(x)P(y)M");
    check_taken(BYTES("\2\0\0\0\0\0\0\3\xE8q"), 999, "P(qC(x)P(y)M");
    /* More frames follow it: the next ones are still of this message. */
    check_taken(BYTES("\1\5a"), 4, "P(aC(x)M");
}

static void test_rest_of_a_taken_payload_is_told(void)
{
    static ear self;
    listen_with(&self, MOST);
    hear(&self, BYTES("\1\0\0\5a"));
    mfi_zmtp_took(&self.reader, 2);
    self.got += 2;
    hear(&self, BYTES("de\1\0\0\1f"));
    mf_check_str(self.text, "P(ade)P(f)");
}

/* ---- The short way ---- */

/* What was read before is heard first; then a whole message lies there, or nothing is taken. */
static void check_whole(const uint8_t *before, size_t before_size, const uint8_t *data, size_t size,
                        const char *wanted)
{
    static ear self;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    const uint8_t *payload = NULL;
    size_t payload_size = 0;
    memcpy(copy, data, size);
    const uint8_t *at = copy;
    listen_with(&self, MOST);
    hear(&self, before, before_size);
    bool is_whole = mfi_zmtp_read_whole(&self.reader, &at, copy + size, &payload, &payload_size);
    mf_check(is_whole == (wanted != NULL));
    mf_check_int(at - copy, is_whole ? payload + payload_size - copy : 0);
    if (is_whole && wanted != NULL) {
        mf_check_int(payload_size, strlen(wanted));
        mf_check(memcmp(payload, wanted, payload_size) == 0);
    }
    free(copy);
}

static void test_whole_message_is_read_at_once(void)
{
    check_whole(BYTES(""), BYTES("\1\0\0\5hello"), "hello");
    check_whole(BYTES(""), BYTES("\1\0\0\5hello\1\0"), "hello");
    check_whole(BYTES(""), BYTES("\1\0\0\0"), "");
    check_whole(BYTES("\1\0\0\1a"), BYTES("\1\0\2\0\0\0\0\0\0\0\5hello"), "hello");
    /* Not all of it is there; more frames, a command, a limit, another delimiter. */
    for (size_t size = 0; size < 9; size++) {
        check_whole(BYTES(""), (const uint8_t *)"\1\0\0\5hello", size, NULL);
    }
    for (size_t size = 0; size < 16; size++) {
        check_whole(BYTES(""), (const uint8_t *)"\1\0\2\0\0\0\0\0\0\0\5hello", size, NULL);
    }
    check_whole(BYTES(""), BYTES("\1\0\1\1a\0\0"), NULL);
    check_whole(BYTES(""), BYTES("\4\1x\1\0\0\0"), NULL);
    check_whole(BYTES(""), BYTES("\1\0\2\0\0\0\0\0\0\3\xE9"), NULL);
    check_whole(BYTES(""), BYTES("\1\0\2\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), NULL);
    check_whole(BYTES(""), BYTES("\1\1x\0\0"), NULL);
    /* Within something else that has begun. */
    check_whole(BYTES("\1"), BYTES("\1\0\0\0"), NULL);
    check_whole(BYTES("\1\0"), BYTES("\1\0\0\0"), NULL);
    check_whole(BYTES("\4\7"), BYTES("\1\0\0\0"), NULL);
    check_whole(BYTES("\1\0\0\7"), BYTES("\1\0\0\0"), NULL);
}

static const mf_test tests[] = {
    {"reader__reads_a_whole_message_at_once", test_whole_message_is_read_at_once},
    {"reader__tells_payloads", test_payloads_are_told},
    {"reader__tells_a_payload_in_parts", test_payload_is_told_in_parts},
    {"reader__tells_the_same_for_all_splits", test_all_splits_tell_the_same},
    {"reader__tells_an_empty_payload_at_once", test_empty_payload_is_told_at_once},
    {"reader__ignores_further_frames", test_further_frames_are_ignored},
    {"reader__tells_commands_between_frames", test_commands_stand_anywhere_between_frames},
    {"reader__goes_on_after_a_message_of_one_frame", test_message_of_one_frame_is_malformed},
    {"reader__refuses_unknown_flags", test_unknown_flags_are_broken},
    {"reader__refuses_commands_of_several_frames", test_commands_of_several_frames_are_broken},
    {"reader__refuses_long_commands", test_long_commands_are_broken},
    {"reader__refuses_bodies_beyond_the_limit", test_bodies_beyond_the_limit_are_broken},
    {"reader__knows_what_is_left_of_a_payload", test_left_is_of_a_payload_alone},
    {"reader__lets_a_payload_be_taken_elsewhere", test_rest_of_a_payload_is_taken_elsewhere},
    {"reader__tells_the_rest_of_a_taken_payload", test_rest_of_a_taken_payload_is_told},
};
MF_TEST_MAIN(tests)
