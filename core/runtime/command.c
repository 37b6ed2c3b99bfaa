/* Whom a command means. It exists so that parents and pools read the names of a command in the same
 * way. */
#include "core/runtime/command.h"

#include <string.h>

bool mfi_command_means(const mfi_command *command, const char *target, const char *worker)
{
    return (command->target == NULL || strcmp(command->target, target) == 0) &&
           (command->worker == NULL || strcmp(command->worker, worker) == 0);
}
