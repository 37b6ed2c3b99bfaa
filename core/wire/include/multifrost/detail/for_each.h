/*
 * Applies a macro to each of 1 to 32 arguments, separated by commas. Part of value.h; not for direct
 * use. One line for each count, because C11's preprocessor cannot loop.
 */
#ifndef MULTIFROST_DETAIL_FOR_EACH_H
#define MULTIFROST_DETAIL_FOR_EACH_H

/* clang-format off */
#define MF_DETAIL_PICK(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, \
    a17, a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, n, ...) n
#define MF_DETAIL_COUNT(...) MF_DETAIL_PICK(__VA_ARGS__, 32, 31, 30, 29, 28, 27, 26, 25, 24, \
    23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define MF_DETAIL_JOIN_(a, b) a##b
#define MF_DETAIL_JOIN(a, b) MF_DETAIL_JOIN_(a, b)
#define MF_DETAIL_FOR_EACH(m, ...) MF_DETAIL_JOIN(MF_DETAIL_EACH_, \
    MF_DETAIL_COUNT(__VA_ARGS__))(m, __VA_ARGS__)
#define MF_DETAIL_EACH_1(m, x) m(x)
#define MF_DETAIL_EACH_2(m, x, ...) m(x), MF_DETAIL_EACH_1(m, __VA_ARGS__)
#define MF_DETAIL_EACH_3(m, x, ...) m(x), MF_DETAIL_EACH_2(m, __VA_ARGS__)
#define MF_DETAIL_EACH_4(m, x, ...) m(x), MF_DETAIL_EACH_3(m, __VA_ARGS__)
#define MF_DETAIL_EACH_5(m, x, ...) m(x), MF_DETAIL_EACH_4(m, __VA_ARGS__)
#define MF_DETAIL_EACH_6(m, x, ...) m(x), MF_DETAIL_EACH_5(m, __VA_ARGS__)
#define MF_DETAIL_EACH_7(m, x, ...) m(x), MF_DETAIL_EACH_6(m, __VA_ARGS__)
#define MF_DETAIL_EACH_8(m, x, ...) m(x), MF_DETAIL_EACH_7(m, __VA_ARGS__)
#define MF_DETAIL_EACH_9(m, x, ...) m(x), MF_DETAIL_EACH_8(m, __VA_ARGS__)
#define MF_DETAIL_EACH_10(m, x, ...) m(x), MF_DETAIL_EACH_9(m, __VA_ARGS__)
#define MF_DETAIL_EACH_11(m, x, ...) m(x), MF_DETAIL_EACH_10(m, __VA_ARGS__)
#define MF_DETAIL_EACH_12(m, x, ...) m(x), MF_DETAIL_EACH_11(m, __VA_ARGS__)
#define MF_DETAIL_EACH_13(m, x, ...) m(x), MF_DETAIL_EACH_12(m, __VA_ARGS__)
#define MF_DETAIL_EACH_14(m, x, ...) m(x), MF_DETAIL_EACH_13(m, __VA_ARGS__)
#define MF_DETAIL_EACH_15(m, x, ...) m(x), MF_DETAIL_EACH_14(m, __VA_ARGS__)
#define MF_DETAIL_EACH_16(m, x, ...) m(x), MF_DETAIL_EACH_15(m, __VA_ARGS__)
#define MF_DETAIL_EACH_17(m, x, ...) m(x), MF_DETAIL_EACH_16(m, __VA_ARGS__)
#define MF_DETAIL_EACH_18(m, x, ...) m(x), MF_DETAIL_EACH_17(m, __VA_ARGS__)
#define MF_DETAIL_EACH_19(m, x, ...) m(x), MF_DETAIL_EACH_18(m, __VA_ARGS__)
#define MF_DETAIL_EACH_20(m, x, ...) m(x), MF_DETAIL_EACH_19(m, __VA_ARGS__)
#define MF_DETAIL_EACH_21(m, x, ...) m(x), MF_DETAIL_EACH_20(m, __VA_ARGS__)
#define MF_DETAIL_EACH_22(m, x, ...) m(x), MF_DETAIL_EACH_21(m, __VA_ARGS__)
#define MF_DETAIL_EACH_23(m, x, ...) m(x), MF_DETAIL_EACH_22(m, __VA_ARGS__)
#define MF_DETAIL_EACH_24(m, x, ...) m(x), MF_DETAIL_EACH_23(m, __VA_ARGS__)
#define MF_DETAIL_EACH_25(m, x, ...) m(x), MF_DETAIL_EACH_24(m, __VA_ARGS__)
#define MF_DETAIL_EACH_26(m, x, ...) m(x), MF_DETAIL_EACH_25(m, __VA_ARGS__)
#define MF_DETAIL_EACH_27(m, x, ...) m(x), MF_DETAIL_EACH_26(m, __VA_ARGS__)
#define MF_DETAIL_EACH_28(m, x, ...) m(x), MF_DETAIL_EACH_27(m, __VA_ARGS__)
#define MF_DETAIL_EACH_29(m, x, ...) m(x), MF_DETAIL_EACH_28(m, __VA_ARGS__)
#define MF_DETAIL_EACH_30(m, x, ...) m(x), MF_DETAIL_EACH_29(m, __VA_ARGS__)
#define MF_DETAIL_EACH_31(m, x, ...) m(x), MF_DETAIL_EACH_30(m, __VA_ARGS__)
#define MF_DETAIL_EACH_32(m, x, ...) m(x), MF_DETAIL_EACH_31(m, __VA_ARGS__)
/* clang-format on */

#endif
