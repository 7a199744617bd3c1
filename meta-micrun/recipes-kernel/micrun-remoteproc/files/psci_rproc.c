// SPDX-License-Identifier: GPL-2.0-only
/*
 * Remote processor driver for the Arm cores that Linux itself runs on
 *
 * Linux gives one of its cores away, PSCI starts firmware on it, and the core
 * comes back when the firmware has powered it off.
 */

#include <linux/arm-smccc.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_irq.h>
#include <linux/of_reserved_mem.h>
#include <linux/percpu.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <uapi/linux/psci.h>

#include "remoteproc_core.h"

/* The SGI that MICA firmware takes as a kick. */
#define PSCI_RPROC_DEFAULT_SGI		7
/* Linux has interrupts for the SGIs of the non-secure world only. */
#define PSCI_RPROC_SGIS			8

/* Values of the state word, reserved[0] of the resource table (MICA). */
#define PSCI_RPROC_STATE_STARTED	0xc4000003
#define PSCI_RPROC_STATE_OFF		0x84000002

/* How often the rings are looked at without a doorbell, and at the end. */
#define PSCI_RPROC_POLL_MS		10
/* The same with a doorbell. */
#define PSCI_RPROC_WATCH_MS		1000

/* How long a core that was started may still be called off. */
#define PSCI_RPROC_ON_US		100000

static unsigned int off_timeout_ms = 5000;
module_param(off_timeout_ms, uint, 0644);
MODULE_PARM_DESC(off_timeout_ms, "how long firmware may take to power its core off");

/**
 * struct psci_rproc - one core
 * @dev: the platform device
 * @rproc: its remote processor
 * @gate: last of the subdevices: while it is started, the rings may be served
 * @node: entry in the list of those who want to know that a CPU comes or goes
 * @work: serves the rings and sees whether the core is off
 * @lock: protects @open
 * @open: whether @work may be queued
 * @table: the resource table that the firmware sees, while the core is ours
 * @mpidr: what PSCI calls the core
 * @cpu: what Linux calls the core
 * @borrowed: the CPU was online and goes back to Linux
 * @smc: PSCI is called by SMC, not by HVC
 * @kick_irq: the SGI to the firmware
 * @doorbell_irq: the SGI from the firmware, or 0
 * @self: what the handler of @doorbell_irq gets, the same on each CPU
 * @belled: the firmware has a doorbell, of whatever kind
 * @report: what the firmware said last when it powered itself off
 */
struct psci_rproc {
	struct device *dev;
	struct rproc *rproc;
	struct rproc_subdev gate;
	struct hlist_node node;
	struct delayed_work work;
	spinlock_t lock; /* of @open */
	bool open;
	struct resource_table *table;
	u64 mpidr;
	int cpu;
	bool borrowed;
	bool smc;
	unsigned int kick_irq;
	unsigned int doorbell_irq;
	struct psci_rproc * __percpu *self;
	bool belled;
	u32 report;
};

static enum cpuhp_state psci_rproc_online_state;

/* PSCI */

static long psci_rproc_call(struct psci_rproc *core, unsigned long function,
			    unsigned long first, unsigned long second)
{
	struct arm_smccc_res res;

	if (core->smc)
		arm_smccc_smc(function, first, second, 0, 0, 0, 0, 0, &res);
	else
		arm_smccc_hvc(function, first, second, 0, 0, 0, 0, 0, &res);
	/* PSCI results are 32 bits wide. */
	return (s32)res.a0;
}

static bool psci_rproc_is_off(struct psci_rproc *core)
{
	return psci_rproc_call(core, PSCI_0_2_FN64_AFFINITY_INFO, core->mpidr, 0) ==
	       PSCI_0_2_AFFINITY_LEVEL_OFF;
}

static int psci_rproc_errno(long result)
{
	switch (result) {
	case PSCI_RET_SUCCESS:
		return 0;
	case PSCI_RET_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	case PSCI_RET_INVALID_PARAMS:
	case PSCI_RET_INVALID_ADDRESS:
		return -EINVAL;
	case PSCI_RET_DENIED:
		return -EPERM;
	case PSCI_RET_ALREADY_ON:
	case PSCI_RET_ON_PENDING:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static int psci_rproc_power_on(struct psci_rproc *core, u64 entry)
{
	long result = psci_rproc_call(core, PSCI_0_2_FN64_CPU_ON, core->mpidr, entry);
	bool off;

	if (result != PSCI_RET_SUCCESS) {
		dev_err(core->dev, "PSCI CPU_ON of CPU %d at %#llx: %ld\n",
			core->cpu, entry, result);
		return psci_rproc_errno(result);
	}
	/*
	 * Some platforms call the core off until it really starts, and off must
	 * not be taken for its end. If it stays off, or ends at once, the work
	 * finds out.
	 */
	read_poll_timeout(psci_rproc_is_off, off, !off, 100, PSCI_RPROC_ON_US, false, core);
	return 0;
}

/* The CPU, from Linux and back */

static void psci_rproc_give_back(struct psci_rproc *core)
{
	int ret = 0;

	if (core->borrowed)
		ret = add_cpu(core->cpu);
	if (ret < 0)
		dev_err(core->dev, "CPU %d does not come back online: %d\n", core->cpu, ret);
	module_put(THIS_MODULE);
}

static int psci_rproc_borrow(struct psci_rproc *core)
{
	int ret;

	/* While firmware runs, the driver stays. */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	ret = remove_cpu(core->cpu);
	if (ret < 0) {
		dev_err(core->dev, "CPU %d can't be taken offline: %d\n", core->cpu, ret);
		module_put(THIS_MODULE);
		return ret;
	}
	/* 1: it was offline before, and stays so. */
	core->borrowed = ret == 0;
	return 0;
}

/* Kicks */

static void psci_rproc_kick(struct rproc *rproc, int vqid)
{
	struct psci_rproc *core = rproc->priv;

	/*
	 * The firmware may run without caches: what was written must be in
	 * memory, not just seen by other CPUs.
	 */
	wmb();
	ipi_send_mask(core->kick_irq, cpumask_of(core->cpu));
}

static void psci_rproc_queue(struct psci_rproc *core, unsigned int ms)
{
	unsigned long flags;

	spin_lock_irqsave(&core->lock, flags);
	if (core->open)
		mod_delayed_work(system_highpri_wq, &core->work, msecs_to_jiffies(ms));
	spin_unlock_irqrestore(&core->lock, flags);
}

static irqreturn_t psci_rproc_doorbell(int irq, void *data)
{
	psci_rproc_queue(data, 0);
	return IRQ_HANDLED;
}

static irqreturn_t psci_rproc_percpu_doorbell(int irq, void *data)
{
	return psci_rproc_doorbell(irq, *(struct psci_rproc **)data);
}

static int psci_rproc_serve_ring(int id, void *ring, void *rproc)
{
	rproc_vq_interrupt(rproc, id);
	return 0;
}

/* The firmware's memory is gone when somebody asks. */
static void psci_rproc_keep_report(struct psci_rproc *core)
{
	if (core->table)
		WRITE_ONCE(core->report, READ_ONCE(core->table->reserved[1]));
}

static unsigned int psci_rproc_period(struct psci_rproc *core)
{
	bool ending = core->table && READ_ONCE(core->table->reserved[0]) == PSCI_RPROC_STATE_OFF;

	return core->belled && !ending ? PSCI_RPROC_WATCH_MS : PSCI_RPROC_POLL_MS;
}

/*
 * Runs for each kick. It runs between kicks too: a lost one only costs time,
 * and a core that goes off without a word is seen.
 */
static void psci_rproc_work(struct work_struct *work)
{
	struct psci_rproc *core = container_of(work, struct psci_rproc, work.work);
	/* Asked first: what the firmware sent before it went off is in the rings now. */
	bool off = psci_rproc_is_off(core);

	idr_for_each(&core->rproc->notifyids, psci_rproc_serve_ring, core->rproc);
	if (!off) {
		psci_rproc_queue(core, psci_rproc_period(core));
		return;
	}
	psci_rproc_keep_report(core);
	dev_err(core->dev, "the firmware powered CPU %d off, report %#x\n", core->cpu,
		core->report);
	rproc_report_crash(core->rproc, RPROC_FATAL_ERROR);
}

static int psci_rproc_open_gate(struct rproc_subdev *gate)
{
	struct psci_rproc *core = container_of(gate, struct psci_rproc, gate);

	spin_lock_irq(&core->lock);
	core->open = true;
	spin_unlock_irq(&core->lock);
	/* The firmware may have kicked before. */
	psci_rproc_queue(core, 0);
	return 0;
}

static void psci_rproc_close_gate(struct rproc_subdev *gate, bool crashed)
{
	struct psci_rproc *core = container_of(gate, struct psci_rproc, gate);

	spin_lock_irq(&core->lock);
	core->open = false;
	spin_unlock_irq(&core->lock);
	cancel_delayed_work_sync(&core->work);
}

/* Memory */

static int psci_rproc_map(struct rproc *rproc, struct rproc_mem_entry *mem)
{
	/* Normal memory without caches, as firmware sees it before it has an MMU. */
	void __iomem *va = ioremap_wc(mem->dma, mem->len);

	if (!va)
		return -ENOMEM;
	mem->va = (__force void *)va;
	return 0;
}

static int psci_rproc_unmap(struct rproc *rproc, struct rproc_mem_entry *mem)
{
	iounmap((__force void __iomem *)mem->va);
	return 0;
}

static int psci_rproc_add_carveout(struct rproc *rproc, struct device_node *node)
{
	struct rproc_mem_entry *mem;
	struct resource range;
	int ret;

	ret = of_address_to_resource(node, 0, &range);
	if (ret)
		return ret;
	/* Device addresses have 32 bits in resource tables. */
	if (range.end > U32_MAX)
		return -ERANGE;
	mem = rproc_mem_entry_init(rproc->dev.parent, NULL, range.start, resource_size(&range),
				   range.start, psci_rproc_map, psci_rproc_unmap, node->name);
	if (!mem)
		return -ENOMEM;
	rproc_add_carveout(rproc, mem);
	return 0;
}

/* The first region is the pool for rings and buffers; the others hold firmware. */
static int psci_rproc_add_carveouts(struct psci_rproc *core)
{
	struct device_node *node;
	int index, ret;

	for (index = 1;; index++) {
		node = of_parse_phandle(core->dev->of_node, "memory-region", index);
		if (!node)
			return 0;
		ret = psci_rproc_add_carveout(core->rproc, node);
		if (ret)
			dev_err(core->dev, "memory-region %d (%pOF): %d\n", index, node, ret);
		of_node_put(node);
		if (ret)
			return ret;
	}
}

/* Rings and buffers are memory of the remote processor too, but no code. */
static bool psci_rproc_is_firmware(struct rproc *rproc, u64 entry)
{
	struct rproc_mem_entry *mem;

	list_for_each_entry(mem, &rproc->carveouts, node) {
		if (mem->alloc == psci_rproc_map && entry >= mem->da &&
		    entry - mem->da + sizeof(u32) <= mem->len)
			return true;
	}
	return false;
}

/* Comes before loading: firmware that somebody else runs must not be written over. */
static int psci_rproc_prepare(struct rproc *rproc)
{
	struct psci_rproc *core = rproc->priv;

	if (!cpu_online(core->cpu) && !psci_rproc_is_off(core)) {
		dev_err(core->dev, "CPU %d is in use, but not by Linux\n", core->cpu);
		return -EBUSY;
	}
	return psci_rproc_add_carveouts(core);
}

/*
 * MICA's entries (endpoint table, debug rings) are for hosts that have the rings
 * themselves. Left to itself, remoteproc does not start firmware whose table ends
 * with one.
 */
static int psci_rproc_handle_rsc(struct rproc *rproc, u32 type, void *rsc, int offset, int avail)
{
	return RSC_HANDLED;
}

/* Start and stop */

static void psci_rproc_set_state(struct psci_rproc *core, u32 state)
{
	if (core->table)
		WRITE_ONCE(core->table->reserved[0], state);
	/* In memory before the core starts or is kicked. */
	wmb();
}

static int psci_rproc_start(struct rproc *rproc)
{
	struct psci_rproc *core = rproc->priv;
	int ret;

	if (!psci_rproc_is_firmware(rproc, rproc->bootaddr)) {
		dev_err(core->dev, "entry %#llx: outside the firmware's memory\n",
			rproc->bootaddr);
		return -EINVAL;
	}
	ret = psci_rproc_borrow(core);
	if (ret)
		return ret;
	/* Here it is the loaded table; in stop() it is a copy. */
	core->table = rproc->table_ptr;
	WRITE_ONCE(core->report, 0);
	psci_rproc_set_state(core, PSCI_RPROC_STATE_STARTED);
	ret = psci_rproc_power_on(core, rproc->bootaddr);
	if (ret) {
		core->table = NULL;
		psci_rproc_give_back(core);
		return ret;
	}
	/* Added behind the rings: opened after them, closed before them. */
	rproc_add_subdev(rproc, &core->gate);
	return 0;
}

static int psci_rproc_wait_until_off(struct psci_rproc *core)
{
	bool off;

	return read_poll_timeout(psci_rproc_is_off, off, off, 1000,
				 (u64)off_timeout_ms * 1000, false, core);
}

static int psci_rproc_stop(struct rproc *rproc)
{
	struct psci_rproc *core = rproc->priv;

	if (!psci_rproc_is_off(core)) {
		psci_rproc_set_state(core, PSCI_RPROC_STATE_OFF);
		psci_rproc_kick(rproc, 0);
	}
	if (psci_rproc_wait_until_off(core)) {
		/* Nobody else can stop it. It keeps its core and its memory. */
		dev_err(core->dev, "the firmware does not power CPU %d off within %u ms\n",
			core->cpu, off_timeout_ms);
		return -ETIMEDOUT;
	}
	rproc_remove_subdev(rproc, &core->gate);
	psci_rproc_keep_report(core);
	core->table = NULL;
	psci_rproc_give_back(core);
	return 0;
}

static const struct rproc_ops psci_rproc_ops = {
	.prepare = psci_rproc_prepare,
	.handle_rsc = psci_rproc_handle_rsc,
	.start = psci_rproc_start,
	.stop = psci_rproc_stop,
	.kick = psci_rproc_kick,
};

/* Device tree */

static int psci_rproc_find_conduit(struct psci_rproc *core)
{
	static const struct of_device_id ids[] = {
		{ .compatible = "arm,psci-1.0" },
		{ .compatible = "arm,psci-0.2" },
		{ }
	};
	struct device_node *psci = of_find_matching_node(NULL, ids);
	const char *method;
	int ret;

	if (!psci)
		return dev_err_probe(core->dev, -ENODEV, "no PSCI of 0.2 or newer\n");
	ret = of_property_read_string(psci, "method", &method);
	of_node_put(psci);
	if (ret)
		return dev_err_probe(core->dev, ret, "PSCI has no method\n");
	core->smc = !strcmp(method, "smc");
	return 0;
}

static int psci_rproc_find_cpu(struct psci_rproc *core)
{
	struct device_node *node = of_parse_phandle(core->dev->of_node, "cpu", 0);
	const __be32 *reg;
	int length;

	if (!node)
		return dev_err_probe(core->dev, -EINVAL, "cpu: missing\n");
	core->cpu = of_cpu_node_to_id(node);
	reg = of_get_property(node, "reg", &length);
	if (reg)
		core->mpidr = of_read_number(reg, min(length / (int)sizeof(*reg), 2));
	of_node_put(node);
	if (core->cpu < 0 || !reg)
		return dev_err_probe(core->dev, -ENODEV, "cpu: not a CPU that Linux knows\n");
	return 0;
}

static int psci_rproc_find_sgi(struct psci_rproc *core, u32 sgi, unsigned int *irq)
{
	struct device_node *controller = of_irq_find_parent(core->dev->of_node);
	struct irq_domain *domain = controller ? irq_find_host(controller) : NULL;

	of_node_put(controller);
	if (!domain)
		return -EPROBE_DEFER;
	if (sgi < PSCI_RPROC_SGIS)
		*irq = irq_find_mapping(domain, sgi);
	if (!*irq)
		return dev_err_probe(core->dev, -EINVAL, "SGI %u: Linux can't use it\n", sgi);
	return 0;
}

static int psci_rproc_find_kick(struct psci_rproc *core)
{
	u32 sgi = PSCI_RPROC_DEFAULT_SGI;

	of_property_read_u32(core->dev->of_node, "micrun,kick-sgi", &sgi);
	return psci_rproc_find_sgi(core, sgi, &core->kick_irq);
}

static int psci_rproc_cpu_online(unsigned int cpu, struct hlist_node *node)
{
	struct psci_rproc *core = hlist_entry(node, struct psci_rproc, node);

	enable_percpu_irq(core->doorbell_irq, IRQ_TYPE_NONE);
	return 0;
}

static int psci_rproc_cpu_offline(unsigned int cpu, struct hlist_node *node)
{
	struct psci_rproc *core = hlist_entry(node, struct psci_rproc, node);

	disable_percpu_irq(core->doorbell_irq);
	return 0;
}

static void psci_rproc_free_sgi(void *data)
{
	struct psci_rproc *core = data;

	free_percpu_irq(core->doorbell_irq, core->self);
}

static void psci_rproc_forget_cpus(void *data)
{
	struct psci_rproc *core = data;

	cpuhp_state_remove_instance(psci_rproc_online_state, &core->node);
}

/* Takes an SGI on every CPU, because each may be the one that the firmware rings at. */
static int psci_rproc_request_sgi(struct psci_rproc *core)
{
	struct psci_rproc **self;
	int cpu, ret;

	core->self = devm_alloc_percpu(core->dev, struct psci_rproc *);
	if (!core->self)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		self = per_cpu_ptr(core->self, cpu);
		*self = core;
	}
	ret = request_percpu_irq(core->doorbell_irq, psci_rproc_percpu_doorbell,
				 "psci-rproc", core->self);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(core->dev, psci_rproc_free_sgi, core);
	if (ret)
		return ret;
	ret = cpuhp_state_add_instance(psci_rproc_online_state, &core->node);
	if (ret)
		return ret;
	return devm_add_action_or_reset(core->dev, psci_rproc_forget_cpus, core);
}

static int psci_rproc_find_sgi_doorbell(struct psci_rproc *core, u32 sgi)
{
	int ret = psci_rproc_find_sgi(core, sgi, &core->doorbell_irq);

	if (ret)
		return ret;
	/* 6.1 leaves SGI 7 free, 6.12 and newer use them all. */
	if (irq_has_action(core->doorbell_irq)) {
		dev_info(core->dev, "SGI %u is in use: the rings are polled\n", sgi);
		return 0;
	}
	ret = psci_rproc_request_sgi(core);
	if (ret)
		return dev_err_probe(core->dev, ret, "SGI %u\n", sgi);
	core->belled = true;
	return 0;
}

static int psci_rproc_find_doorbell(struct psci_rproc *core, struct platform_device *pdev)
{
	int irq = platform_get_irq_optional(pdev, 0);
	u32 sgi;
	int ret;

	if (irq == -ENXIO) {
		if (of_property_read_u32(core->dev->of_node, "micrun,doorbell-sgi", &sgi))
			return 0;
		return psci_rproc_find_sgi_doorbell(core, sgi);
	}
	if (irq < 0)
		return irq;
	ret = devm_request_irq(core->dev, irq, psci_rproc_doorbell, 0, dev_name(core->dev), core);
	if (ret)
		return dev_err_probe(core->dev, ret, "interrupt %d\n", irq);
	core->belled = true;
	return 0;
}

static void psci_rproc_release_pool(void *dev)
{
	of_reserved_mem_device_release(dev);
}

static int psci_rproc_find_pool(struct psci_rproc *core)
{
	int ret = of_reserved_mem_device_init_by_idx(core->dev, core->dev->of_node, 0);

	if (ret)
		return dev_err_probe(core->dev, ret, "memory-region 0: not a shared-dma-pool\n");
	return devm_add_action_or_reset(core->dev, psci_rproc_release_pool, core->dev);
}

static int psci_rproc_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	const char *firmware = NULL;
	struct psci_rproc *core;
	struct rproc *rproc;
	int ret;

	/* Without it user space names the firmware. */
	of_property_read_string(dev->of_node, "firmware-name", &firmware);
	rproc = devm_rproc_alloc(dev, dev_name(dev), &psci_rproc_ops, firmware, sizeof(*core));
	if (!rproc)
		return -ENOMEM;
	rproc->auto_boot = false;

	core = rproc->priv;
	dev_set_drvdata(dev, core);
	core->dev = dev;
	core->rproc = rproc;
	core->gate.start = psci_rproc_open_gate;
	core->gate.stop = psci_rproc_close_gate;
	spin_lock_init(&core->lock);
	INIT_DELAYED_WORK(&core->work, psci_rproc_work);

	ret = psci_rproc_find_conduit(core);
	if (ret)
		return ret;
	ret = psci_rproc_find_cpu(core);
	if (ret)
		return ret;
	ret = psci_rproc_find_pool(core);
	if (ret)
		return ret;
	ret = psci_rproc_find_kick(core);
	if (ret)
		return ret;
	ret = psci_rproc_find_doorbell(core, pdev);
	if (ret)
		return ret;
	return devm_rproc_add(dev, rproc);
}

static ssize_t report_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct psci_rproc *core = dev_get_drvdata(dev);

	return sysfs_emit(buf, "0x%08x\n", READ_ONCE(core->report));
}
static DEVICE_ATTR_RO(report);

static struct attribute *psci_rproc_attrs[] = {
	&dev_attr_report.attr,
	NULL
};
ATTRIBUTE_GROUPS(psci_rproc);

static const struct of_device_id psci_rproc_ids[] = {
	{ .compatible = "micrun,psci-rproc" },
	{ }
};
MODULE_DEVICE_TABLE(of, psci_rproc_ids);

static struct platform_driver psci_rproc_driver = {
	.probe = psci_rproc_probe,
	.driver = {
		.name = "psci-rproc",
		.of_match_table = psci_rproc_ids,
		.dev_groups = psci_rproc_groups,
		.suppress_bind_attrs = true,
	},
};

static int __init psci_rproc_init(void)
{
	int ret = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "remoteproc/psci:online",
					  psci_rproc_cpu_online, psci_rproc_cpu_offline);

	if (ret < 0)
		return ret;
	psci_rproc_online_state = ret;
	ret = platform_driver_register(&psci_rproc_driver);
	if (ret)
		cpuhp_remove_multi_state(psci_rproc_online_state);
	return ret;
}
module_init(psci_rproc_init);

static void __exit psci_rproc_exit(void)
{
	platform_driver_unregister(&psci_rproc_driver);
	cpuhp_remove_multi_state(psci_rproc_online_state);
}
module_exit(psci_rproc_exit);

MODULE_DESCRIPTION("Remote processor driver for Arm cores started by PSCI");
MODULE_LICENSE("GPL");
