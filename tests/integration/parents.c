#include "parents.h"

#include "mf_test.h"

mf_parent_options worker_options(void)
{
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.program = mf_test_build_path("tests/conformance/conformance_child");
    options.target = "math";
    return options;
}

mf_parent *start(const mf_parent_options *options)
{
    mf_parent *parent = NULL;
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_parent_create(&parent, options, &error), MF_OK);
    mf_check_int(mf_parent_start(parent, &error), MF_OK);
    mf_check_str(error.message, "");
    return parent;
}

mf_parent_stats stats_of(mf_parent *parent)
{
    mf_parent_stats stats = MF_PARENT_STATS_INIT;
    mf_check_int(mf_parent_read_stats(parent, &stats, NULL), MF_OK);
    return stats;
}

bool is_ready(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_READY;
}

bool is_restarting(void *parent)
{
    return mf_parent_get_state(parent) == MF_PARENT_RESTARTING;
}
