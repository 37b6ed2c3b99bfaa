/* The descriptors of the process: whether it can open more, and that the first three are open. */
#ifndef MFI_PROCESS_DESCRIPTORS_H
#define MFI_PROCESS_DESCRIPTORS_H

#include <multifrost/error.h>

/* More than a parent or a worker opens when it starts. */
#define MFI_START_DESCRIPTORS 24

/* MF_ERR_LIMIT, naming the limit, if the process cannot open `count` descriptors. To be called
 * before libzmq is: without descriptors libzmq ends the program, or accepts no connections. Other
 * threads may open descriptors meanwhile, so `count` must be generous. */
mf_status mfi_descriptors_check(unsigned count, mf_error *error);

/* Opens /dev/null as each of the descriptors 0 to 2 that is closed. Otherwise a socket could get
 * the number of stdout: what the program prints would be sent to a peer, and a worker that catches
 * its output would replace the socket. */
void mfi_descriptors_fill_standard(void);

#endif
