/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the remoteproc core exports to drivers, but declares in a header that
 * only those inside the kernel tree can include.
 */
#ifndef REMOTEPROC_CORE_H
#define REMOTEPROC_CORE_H

#include <linux/irqreturn.h>

struct rproc;

irqreturn_t rproc_vq_interrupt(struct rproc *rproc, int vq_id);

#endif
