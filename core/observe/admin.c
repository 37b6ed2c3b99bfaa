/* What is told of the admin socket: its commands are counted, and each change is one log record
 * that says who made it. It exists so that no setting changes without a trace. */
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "logging/record.h"
#include "metrics/metric_set.h"

static mf_counter *counter_of(const mfi_observer *observer, size_t command, size_t result)
{
    const char *names[] = {mfi_admin_command_word((mfi_admin_command)command),
                           mfi_admin_result_word((mfi_admin_result)result)};
    return mf_family_counter(observer->families.admin_commands, names);
}

void mfi_observe_admin_begin(mfi_observer *observer)
{
    for (size_t i = 0; observer->metrics != NULL && i < MFI_ADMIN_COMMAND_COUNT; i++) {
        for (size_t j = 0; j < MFI_ADMIN_RESULT_COUNT; j++) {
            (void)counter_of(observer, i, j);
        }
    }
}

void mfi_observe_admin_command(mfi_observer *observer, mfi_admin_command command,
                               mfi_admin_result result)
{
    if (observer->metrics != NULL) {
        mf_counter_add(counter_of(observer, command, result), 1);
    }
}

void mfi_observe_fault(mfi_target *target, mfi_fault_kind kind)
{
    if (target->measured) {
        const char *names[] = {target->label, mfi_fault_word(kind)};
        mf_counter_add(mf_family_counter(target->observer->families.faults, names), 1);
    }
}

void mfi_observe_config_change(mfi_observer *observer, const mfi_config_change *change)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(observer->logger, MF_LOG_INFO, "config_change", &on_stack);
    if (record == NULL) {
        return;
    }
    const char *of = change->worker != NULL ? change->worker : change->target;
    mfi_record_message(record, "Setting %s%s%s: %s", change->setting, of != NULL ? " of " : "",
                       of != NULL ? of : "", change->to);
    mfi_record_str(record, "target", change->target);
    mfi_record_str(record, "worker", change->worker);
    mfi_record_str(record, "from", change->from);
    mfi_record_str(record, "to", change->to);
    mfi_record_object_begin(record, "fields");
    mfi_record_str(record, "setting", change->setting);
    mfi_record_int(record, "by_uid", change->uid);
    mfi_record_int(record, "by_pid", change->pid);
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}
