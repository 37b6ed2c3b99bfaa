/* The descriptors of the process: whether it may open more, and that the first three are taken. */
#ifndef MFI_PROCESS_DESCRIPTORS_H
#define MFI_PROCESS_DESCRIPTORS_H

#include <multifrost/error.h>

/* What a parent or a worker opens at most when it starts, and some more. */
#define MFI_START_DESCRIPTORS 24

/* MF_ERR_LIMIT, naming the limit, when it may not open as many. To be asked before libzmq is: it
 * ends the program when it lacks some of its own, and accepts no connections without one. Other
 * threads may take them in between, so `count` is to be generous. */
mf_status mfi_descriptors_check(unsigned count, mf_error *error);

/* Opens /dev/null as each of the descriptors 0 to 2 that is closed. Otherwise a socket could get
 * the number of stdout: what the program prints would be sent to a peer, and a worker that catches
 * its output would replace the socket. */
void mfi_descriptors_fill_standard(void);

#endif
