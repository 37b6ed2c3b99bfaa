/* A traceparent survives its text, and invalid ones are refused as W3C Trace Context says. */
#include "core/wire/trace.h"

#include <string.h>

#include "mf_test.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static bool parses(const char *text)
{
    char trace[33];
    char span[17];
    uint8_t flags = 0;
    return mfi_traceparent_parse(text, strlen(text), trace, span, &flags);
}

static void test_round_trip(void)
{
    char trace[33];
    char span[17];
    char text[MFI_TRACEPARENT_TEXT];
    uint8_t flags = 0;
    mfi_traceparent_format(text, TRACE, SPAN, 0xa5);
    mf_check_str(text, "00-" TRACE "-" SPAN "-a5");
    mf_check(mfi_traceparent_parse(text, 55, trace, span, &flags));
    mf_check_str(trace, TRACE);
    mf_check_str(span, SPAN);
    mf_check_int(flags, 0xa5);
}

static void test_invalid_ones(void)
{
    mf_check(parses("00-" TRACE "-" SPAN "-01"));
    mf_check(!parses("00-" TRACE "-" SPAN "-0"));
    mf_check(!parses("00-" TRACE "-" SPAN "-01-more"));
    mf_check(!parses("00-" TRACE "_" SPAN "-01"));
    mf_check(!parses("00-" TRACE "-" SPAN "-0g"));
    mf_check(!parses("00-00000000000000000000000000000000-" SPAN "-01"));
    mf_check(!parses("00-" TRACE "-0000000000000000-01"));
    mf_check(!parses("00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01"));
    mf_check(!parses("ff-" TRACE "-" SPAN "-01"));
    mf_check(!parses("0x-" TRACE "-" SPAN "-01"));
    mf_check(!parses(""));
}

static void test_higher_versions(void)
{
    mf_check(parses("01-" TRACE "-" SPAN "-01"));
    mf_check(parses("cc-" TRACE "-" SPAN "-01-what-will-be"));
    mf_check(!parses("cc-" TRACE "-" SPAN "-01.what-will-be"));
}

static void test_new_ids_are_valid(void)
{
    char trace[33];
    char other[33];
    char span[17];
    char text[MFI_TRACEPARENT_TEXT];
    mfi_trace_new_id(trace);
    mfi_trace_new_id(other);
    mfi_trace_new_span_id(span);
    mfi_traceparent_format(text, trace, span, 1);
    mf_check(parses(text));
    mf_check(strcmp(trace, other) != 0);
}

static const mf_test tests[] = {
    {"trace__survives_its_text", test_round_trip},
    {"trace__invalid_ones_are_refused", test_invalid_ones},
    {"trace__higher_versions_are_read_in_part", test_higher_versions},
    {"trace__new_ids_are_valid", test_new_ids_are_valid},
};
MF_TEST_MAIN(tests)
