/* The names that have series. They are counted here, so that a program with ever new targets makes
 * neither memory nor a scrape grow without bound, and no family has to leave a state out. */
#include <stdlib.h>
#include <string.h>

#include "core/observe/parts.h"

mfi_owner *mfi_owner_take_locked(mfi_observer *observer, const char *name)
{
    mfi_owner *owner = observer->owners;
    while (owner != NULL && strcmp(owner->name, name) != 0) {
        owner = owner->next;
    }
    if (owner == NULL) {
        size_t size = strlen(name) + 1;
        owner = calloc(1, sizeof *owner + size);
        if (owner == NULL) {
            return NULL;
        }
        memcpy(owner->name, name, size);
        owner->counted = observer->counted < observer->max_targets;
        observer->counted += owner->counted;
        owner->next = observer->owners;
        observer->owners = owner;
    }
    if (owner->live++ == 0) {
        owner->shown = observer->shown < observer->max_targets;
        observer->shown += owner->shown;
    }
    return owner;
}

static void free_owner(mfi_observer *observer, mfi_owner *owner)
{
    mfi_owner **at = &observer->owners;
    while (*at != owner) {
        at = &(*at)->next;
    }
    *at = owner->next;
    free(owner);
}

void mfi_owner_leave_locked(mfi_observer *observer, mfi_owner *owner)
{
    if (--owner->live > 0) {
        return;
    }
    observer->shown -= owner->shown;
    owner->shown = false;
    if (!owner->counted) {
        free_owner(observer, owner);
    }
}

void mfi_owners_free(mfi_observer *observer)
{
    while (observer->owners != NULL) {
        free_owner(observer, observer->owners);
    }
}
