/* A command reaches each component that takes commands, and no other. */
#include "core/runtime/runtime.h"
#include "mf_test.h"

static void command(void *self, const mfi_command *command, mfi_command_seen_fn seen,
                    void *user_data)
{
    seen(&(mfi_command_effect){.target = self, .worker = command->worker}, user_data);
}

static void count(const mfi_command_effect *effect, void *user_data)
{
    int *seen = user_data;
    mf_check_str(effect->target, "b");
    mf_check_str(effect->worker, "w");
    (*seen)++;
}

static void test_components(void)
{
    mf_runtime *runtime = NULL;
    int seen = 0;
    const mfi_command order = {.what = MFI_ADMIN_RESTART, .worker = "w"};
    mfi_component mute = {.target = "a"};
    mfi_component first = {.target = "b", .self = (char[]){"b"}, .command = command};
    mfi_component second = first;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    mfi_runtime_add_component(runtime, &mute);
    mfi_runtime_add_component(runtime, &first);
    mfi_runtime_add_component(runtime, &second);
    mfi_runtime_command(runtime, &order, count, &seen);
    mf_check_int(seen, 2);
    mfi_runtime_remove_component(runtime, &first);
    mfi_runtime_command(runtime, &order, count, &seen);
    mf_check_int(seen, 3);
    mfi_runtime_remove_component(runtime, &second);
    mfi_runtime_remove_component(runtime, &mute);
    mf_runtime_destroy(runtime);
}

static void test_names(void)
{
    const mfi_command any = {.what = MFI_ADMIN_RESTART};
    const mfi_command target = {.target = "math"};
    const mfi_command worker = {.worker = "math-1"};
    const mfi_command both = {.target = "math", .worker = "math-1"};
    mf_check(mfi_command_means(&any, "x", "y"));
    mf_check(mfi_command_means(&target, "math", "math-0"));
    mf_check(!mfi_command_means(&target, "mat", "math"));
    mf_check(mfi_command_means(&worker, "math", "math-1"));
    mf_check(!mfi_command_means(&worker, "math-1", "math-0"));
    mf_check(mfi_command_means(&both, "math", "math-1"));
    mf_check(!mfi_command_means(&both, "other", "math-1"));
}

static const mf_test tests[] = {
    {"command__reaches_the_components_that_take_it", test_components},
    {"command__names", test_names},
};
MF_TEST_MAIN(tests)
