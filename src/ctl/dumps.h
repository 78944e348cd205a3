/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dumps.h - crash dumps in their folder
 */
#ifndef CTL_DUMPS_H
#define CTL_DUMPS_H

/* Remove all but the newest. Any thread. */
void dumps_drop_old(const char *dir, int kept);

#endif
