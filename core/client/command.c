/* What an operator may change of a parent while it runs: its circuit, its worker, its faults. It
 * exists so that an admin socket reaches a parent without knowing one. Runs under the runtime's
 * mutex, so nothing here waits for the engine thread. */
#include "base/str.h"
#include "core/client/parent.h"

/* The one command that is carried out. */
typedef struct order {
    mf_parent *parent;
    const mfi_command *command;
    mfi_command_seen_fn seen;
    void *user_data;
} order;

static void tell(const order *at, const char *setting, const char *from, const char *to,
                 const char *refused)
{
    mfi_command_effect effect = {.target = at->parent->state.settings.target,
                                 .worker = at->parent->state.settings.worker,
                                 .setting = setting,
                                 .from = from,
                                 .to = to,
                                 .refused = refused};
    at->seen(&effect, at->user_data);
}

static void order_circuit(const order *at)
{
    mfi_circuit_state from;
    mfi_circuit_state to;
    mfi_circuit_obey(&at->parent->state.circuit, at->command->order, &from, &to);
    tell(at, "circuit", mfi_circuit_state_word(from), mfi_circuit_state_word(to), NULL);
}

/* ---- Restart ---- */

static void on_restart(mfi_task *task)
{
    (void)mfi_link_restart(&MFI_CONTAINER(task, mf_parent, restart_task)->link, NULL);
}

static void order_restart(const order *at)
{
    mf_parent_state state = mfi_state_get(&at->parent->state);
    const char *word = mfi_parent_state_word(state);
    if (state == MF_PARENT_READY || state == MF_PARENT_RESTARTING || state == MF_PARENT_FAILED) {
        (void)mfi_loop_post(at->parent->state.loop, &at->parent->restart_task);
        tell(at, "worker", word, "restarting", NULL);
    } else {
        tell(at, "worker", word, word,
             "only a worker that is ready, failed or restarting can be restarted");
    }
}

/* ---- Faults ---- */

static const char *why_no_fault(const mf_parent *parent, const mfi_fault_rule *rule)
{
    if (!parent->state.runtime->fault_injection) {
        return "fault injection is off: mf_runtime_options.fault_injection is not set";
    }
    if ((rule->kind == MFI_FAULT_CRASH || rule->kind == MFI_FAULT_FREEZE) &&
        mfi_state_connects(&parent->state)) {
        return "crash and freeze need a worker that this program has started";
    }
    return NULL;
}

static void order_fault(const order *at)
{
    char from[MFI_FAULT_TEXT_MAX];
    char to[MFI_FAULT_TEXT_MAX];
    const mfi_fault_rule *rule = at->command->ends ? NULL : at->command->fault;
    const char *why = rule != NULL ? why_no_fault(at->parent, rule) : NULL;
    if (why != NULL) {
        tell(at, "fault", "none", "none", why);
        return;
    }
    mfi_faults_arm(&at->parent->calls.faults, rule, mfi_monotonic_ns(), from, to);
    tell(at, "fault", from, to, NULL);
}

/* ---- All ---- */

static void command(void *self, const mfi_command *command, mfi_command_seen_fn seen,
                    void *user_data)
{
    order at = {.parent = self, .command = command, .seen = seen, .user_data = user_data};
    const mfi_parent_settings *settings = &at.parent->state.settings;
    if (!mfi_command_means(command, settings->target, settings->worker)) {
        return;
    }
    switch (command->what) {
    case MFI_ADMIN_CIRCUIT:
        order_circuit(&at);
        break;
    case MFI_ADMIN_RESTART:
        order_restart(&at);
        break;
    case MFI_ADMIN_FAULT:
        order_fault(&at);
        break;
    case MFI_ADMIN_DRAIN:
        if (!settings->is_member) { /* of a member, the pool tells */
            tell(&at, "drain", "off", "off", "only a member of a pool can be drained");
        }
        break;
    case MFI_ADMIN_STATUS:
        tell(&at, "worker", mfi_parent_state_word(mfi_state_get(&at.parent->state)), NULL, NULL);
        break;
    case MFI_ADMIN_LOG_LEVEL:
    case MFI_ADMIN_HELP:
    case MFI_ADMIN_UNKNOWN:
    case MFI_ADMIN_CONNECT:
    case MFI_ADMIN_COMMAND_COUNT:
        break;
    }
}

void mfi_parent_command_init(mf_parent *parent)
{
    mfi_task_init(&parent->restart_task, on_restart);
    parent->component.command = command;
}
