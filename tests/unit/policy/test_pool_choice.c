/* The member that a pool chooses, with known random numbers. */
#include "core/policy/pool_choice.h"

#include "mf_test.h"

/* Random bits that pick the nth of `count` first, and then the one `behind` places after it. */
static uint64_t bits(uint64_t nth, uint64_t count, uint64_t behind)
{
    uint64_t first = ((nth << 32) + count - 1) / count;
    uint64_t second = count > 1 ? (((behind - 1) << 32) + count - 2) / (count - 1) : 0;
    return second << 32 | first;
}

static void test_less_loaded_of_two(void)
{
    const mfi_candidate three[] = {{MFI_FIT_NOW, 5}, {MFI_FIT_NOW, 3}, {MFI_FIT_NOW, 1}};
    mf_check_int(mfi_choice_pick(three, 3, bits(0, 3, 1)), 1);
    mf_check_int(mfi_choice_pick(three, 3, bits(0, 3, 2)), 2);
    mf_check_int(mfi_choice_pick(three, 3, bits(1, 3, 1)), 2);
    mf_check_int(mfi_choice_pick(three, 3, bits(1, 3, 2)), 1);
    mf_check_int(mfi_choice_pick(three, 3, bits(2, 3, 1)), 2);
}

static void test_equal_load_is_left_to_chance(void)
{
    const mfi_candidate two[] = {{MFI_FIT_NOW, 7}, {MFI_FIT_NOW, 7}};
    mf_check_int(mfi_choice_pick(two, 2, bits(0, 2, 1)), 0);
    mf_check_int(mfi_choice_pick(two, 2, bits(1, 2, 1)), 1);
}

static void test_each_is_picked_as_often(void)
{
    mfi_candidate many[5];
    int picked[5] = {0};
    for (uint32_t i = 0; i < 5; i++) {
        many[i] = (mfi_candidate){MFI_FIT_NOW, 0};
    }
    for (uint64_t i = 0; i < 1000; i++) { /* evenly over the range of the first pick */
        picked[mfi_choice_pick(many, 5, ((i << 32) + 999) / 1000)]++;
    }
    for (uint32_t i = 0; i < 5; i++) {
        mf_check_int(picked[i], 200);
    }
}

static void test_two_picks_are_never_the_same(void)
{
    const mfi_candidate two[] = {{MFI_FIT_NOW, 9}, {MFI_FIT_NOW, 0}};
    for (uint64_t high = 0; high < 64; high++) {
        mf_check_int(mfi_choice_pick(two, 2, high << 58 | (high & 1) << 31), 1);
    }
}

static void test_unfit_are_passed_over(void)
{
    mfi_candidate four[] = {{MFI_FIT_NOT, 0}, {MFI_FIT_NOW, 8}, {MFI_FIT_NOT, 0}, {MFI_FIT_NOW, 9}};
    for (uint64_t i = 0; i < 2; i++) {
        mf_check_int(mfi_choice_pick(four, 4, bits(i, 2, 1)), 1);
    }
    four[1].fitness = MFI_FIT_NOT;
    mf_check_int(mfi_choice_pick(four, 4, UINT64_MAX), 3);
    four[3].fitness = MFI_FIT_NOT;
    mf_check_int(mfi_choice_pick(four, 4, UINT64_MAX), MFI_NOBODY);
    mf_check_int(mfi_choice_pick(four, 0, 0), MFI_NOBODY);
}

static void test_the_fittest_come_first(void)
{
    mfi_candidate three[] = {{MFI_FIT_REFUSES, 0}, {MFI_FIT_WAITS, 4}, {MFI_FIT_NOW, 99}};
    mf_check_int(mfi_choice_pick(three, 3, 0), 2);
    three[2].fitness = MFI_FIT_NOT;
    mf_check_int(mfi_choice_pick(three, 3, 0), 1);
    three[1].fitness = MFI_FIT_NOT;
    mf_check_int(mfi_choice_pick(three, 3, 0), 0);
}

static const mf_test tests[] = {
    {"choice__of_two_the_less_loaded", test_less_loaded_of_two},
    {"choice__equal_load_is_left_to_chance", test_equal_load_is_left_to_chance},
    {"choice__each_is_picked_as_often", test_each_is_picked_as_often},
    {"choice__two_picks_are_never_the_same", test_two_picks_are_never_the_same},
    {"choice__unfit_are_passed_over", test_unfit_are_passed_over},
    {"choice__the_fittest_come_first", test_the_fittest_come_first},
};
MF_TEST_MAIN(tests)
