/* Commands to a parent: what each changes, and when it is refused. */
#include <stdio.h>
#include <string.h>

#include "client_rig.h"
#include "core/client/member.h"

typedef struct seen {
    int count;
    char setting[32], from[MFI_FAULT_TEXT_MAX], to[MFI_FAULT_TEXT_MAX], refused[256];
} seen;

static void keep(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static void on_seen(const mfi_command_effect *effect, void *user_data)
{
    seen *at = user_data;
    at->count++;
    keep(at->setting, sizeof at->setting, effect->setting);
    keep(at->from, sizeof at->from, effect->from);
    keep(at->to, sizeof at->to, effect->to);
    keep(at->refused, sizeof at->refused, effect->refused);
}

static seen order(client_rig *rig, mfi_command command)
{
    seen at = {.count = 0};
    mfi_runtime_command(rig->parent->state.runtime, &command, on_seen, &at);
    return at;
}

static void setup(client_rig *rig, bool owns)
{
    mf_parent_options options;
    rig_options(&options);
    rig_init(rig, &options, owns);
}

static void keep_output(const mf_health_row *row, void *user_data)
{
    keep(user_data, sizeof((seen *)0)->refused, row->output);
}

static void test_circuit(void)
{
    client_rig rig;
    setup(&rig, true);
    rig_start(&rig);
    seen at = order(&rig, (mfi_command){.what = MFI_ADMIN_CIRCUIT, .order = MFI_ORDER_FORCE_OPEN});
    mf_check_int(at.count, 1);
    mf_check_str(at.from, "closed");
    mf_check_str(at.to, "forced_open");
    mf_check(mfi_member_circuit_is_open(rig.parent));
    rig.parent->component.visit_health(rig.parent, true, keep_output, at.refused);
    mf_check_str(at.refused, "circuit math is forced_open by rule admin (an operator forced it "
                             "open); calls are refused until an operator orders reset or auto");
    at = order(&rig, (mfi_command){.what = MFI_ADMIN_CIRCUIT, .worker = "another"});
    mf_check_int(at.count, 0);
    rig_fini(&rig);
}

static void test_restart(void)
{
    client_rig rig;
    setup(&rig, true);
    seen at = order(&rig, (mfi_command){.what = MFI_ADMIN_RESTART});
    mf_check_str(at.from, "created");
    mf_check_contains(at.refused, "can be restarted");
    rig_start(&rig);
    at = order(&rig, (mfi_command){.what = MFI_ADMIN_RESTART});
    mf_check_str(at.refused, "");
    mf_check_str(at.to, "restarting");
    mf_check(rig_until(&rig.ends, 1)); /* the worker is asked to end */
    rig_exit(&rig, "exited");
    rig_fini(&rig);
}

static void test_others(void)
{
    client_rig rig;
    setup(&rig, true);
    seen at = order(&rig, (mfi_command){.what = MFI_ADMIN_DRAIN});
    mf_check_str(at.refused, "only a member of a pool can be drained");
    at = order(&rig, (mfi_command){.what = MFI_ADMIN_STATUS});
    mf_check_str(at.from, "created");
    at = order(&rig, (mfi_command){.what = MFI_ADMIN_HELP});
    mf_check_int(at.count, 0);
    rig_fini(&rig);
}

static void test_faults(void)
{
    client_rig rig;
    const mfi_fault_rule rule = {.kind = MFI_FAULT_CRASH, .share = 1, .for_ms = 1000};
    const mfi_command arm = {.what = MFI_ADMIN_FAULT, .fault = &rule};
    setup(&rig, true);
    seen at = order(&rig, arm);
    mf_check_contains(at.refused, "fault injection is off");
    mf_check(!mfi_faults_armed(&rig.parent->calls.faults));
    rig.parent->state.runtime->fault_injection = true;
    at = order(&rig, arm);
    mf_check_str(at.refused, "");
    mf_check_contains(at.to, "crash of any function");
    mf_check(mfi_faults_armed(&rig.parent->calls.faults));
    at = order(&rig, (mfi_command){.what = MFI_ADMIN_FAULT, .ends = true});
    mf_check_contains(at.from, "crash of any function");
    mf_check(!mfi_faults_armed(&rig.parent->calls.faults));
    rig_fini(&rig);
}

/* A service is not this program's to kill. */
static void test_faults_of_services(void)
{
    mf_runtime *runtime = NULL;
    mf_parent *parent = NULL;
    seen at = {.count = 0};
    mfi_fault_rule rule = {.kind = MFI_FAULT_FREEZE, .share = 1, .for_ms = 1000};
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    mf_runtime_options with = MF_RUNTIME_OPTIONS_INIT;
    with.fault_injection = true;
    mf_check_int(mf_runtime_create(&runtime, &with, NULL), MF_OK);
    options.runtime = runtime;
    options.endpoint = "tcp://127.0.0.1:1";
    mf_check_int(mf_parent_create(&parent, &options, NULL), MF_OK);
    mfi_runtime_command(runtime, &(mfi_command){.what = MFI_ADMIN_FAULT, .fault = &rule}, on_seen,
                        &at);
    mf_check_str(at.refused, "crash and freeze need a worker that this program has started");
    rule.kind = MFI_FAULT_DROP;
    mfi_runtime_command(runtime, &(mfi_command){.what = MFI_ADMIN_FAULT, .fault = &rule}, on_seen,
                        &at);
    mf_check_str(at.refused, "");
    mf_parent_destroy(parent);
    mf_runtime_destroy(runtime);
}

static const mf_test tests[] = {
    {"command__circuit", test_circuit},
    {"command__restart", test_restart},
    {"command__drain_and_status", test_others},
    {"command__faults_are_armed_where_they_are_allowed", test_faults},
    {"command__faults_of_services", test_faults_of_services},
};
MF_TEST_MAIN(tests)
