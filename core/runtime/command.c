/* Passes commands to the components of a runtime. It exists so that a command finds a component as
 * long as the component lives, and no longer. */
#include "core/runtime/command.h"

#include <string.h>

#include "core/runtime/runtime.h"

bool mfi_command_means(const mfi_command *command, const char *target, const char *worker)
{
    return (command->target == NULL || strcmp(command->target, target) == 0) &&
           (command->worker == NULL || strcmp(command->worker, worker) == 0);
}

/* Under the mutex, so that no component is freed meanwhile. The engine thread may wait for the
 * mutex, so no component waits for the engine thread here. */
void mfi_runtime_command(mf_runtime *runtime, const mfi_command *command, mfi_command_seen_fn seen,
                         void *user_data)
{
    mfi_mutex_lock(&runtime->mutex);
    for (mfi_list_node *node = runtime->components.first; node != NULL; node = node->next) {
        const mfi_component *at = MFI_CONTAINER(node, mfi_component, node);
        if (at->command != NULL) {
            at->command(at->self, command, seen, user_data);
        }
    }
    mfi_mutex_unlock(&runtime->mutex);
}
