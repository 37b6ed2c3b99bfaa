/* The fingerprint is FNV-1a, and tells values apart whose texts run together. */
#include "base/fingerprint.h"
#include "mf_test.h"

/* Vectors of the algorithm's authors (isthe.com/chongo/tech/comp/fnv). */
static void test_vectors(void)
{
    mf_check(mfi_fingerprint_bytes(MFI_FINGERPRINT_BEGIN, "", 0) == UINT64_C(0xcbf29ce484222325));
    mf_check(mfi_fingerprint_bytes(MFI_FINGERPRINT_BEGIN, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    mf_check(mfi_fingerprint_bytes(MFI_FINGERPRINT_BEGIN, "foobar", 6) ==
             UINT64_C(0x85944171f73967e8));
}

static uint64_t text(const char *name, const char *value)
{
    return mfi_fingerprint_text(MFI_FINGERPRINT_BEGIN, name, value);
}

static void test_what_differs(void)
{
    mf_check(text("a", "bc") == text("a", "bc"));
    mf_check(text("a", "bc") != text("ab", "c"));
    mf_check(text("a", "") != text("a", NULL));
    mf_check(text("a", "x") != text("b", "x"));
    uint64_t one = mfi_fingerprint_number(MFI_FINGERPRINT_BEGIN, "n", 1);
    mf_check(one != mfi_fingerprint_number(MFI_FINGERPRINT_BEGIN, "n", -1));
    mf_check(one != mfi_fingerprint_number(MFI_FINGERPRINT_BEGIN, "n", INT64_C(1) << 56));
    mf_check(one != mfi_fingerprint_number(MFI_FINGERPRINT_BEGIN, "m", 1));
}

static const mf_test tests[] = {
    {"fingerprint__is_fnv_1a", test_vectors},
    {"fingerprint__what_differs", test_what_differs},
};
MF_TEST_MAIN(tests)
