"""gpu_report.py over files as check.sh leaves them, whole, broken and missing."""
# SPDX-License-Identifier: BSD-3-Clause
import json
import pathlib
import tempfile
import unittest

import gpu_report

CTEST = """Start testing: now
----------------------------------------------------------
1/3 Testing: pixels_gpu_test
1/3 Test: pixels_gpu_test
Command: "pixels_gpu_test"
Output:
----------------------------------------------------------
[ RUN      ] PixelsGpu.HaveTheBitsOfTheCpus
[       OK ] PixelsGpu.HaveTheBitsOfTheCpus (12 ms)
[ RUN      ] PixelsGpu.MayStartAnywhere
[       OK ] PixelsGpu.MayStartAnywhere (1 ms)
<end of output>
Test Passed.
2/3 Testing: nccl_gpu_test.2_ranks
2/3 Test: nccl_gpu_test.2_ranks
Output:
[ RUN      ] NcclGpu.Conforms
/src/nccl_gpu_test.cpp:108: Skipped
needs a GPU for each rank
[  SKIPPED ] NcclGpu.Conforms (0 ms)
[  SKIPPED ] NcclGpu.Conforms (0 ms)
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] NcclGpu.Conforms
Test Passed.
3/3 Testing: step
3/3 Test: step
Output:
/src/step.cpp:3: Failure
[  FAILED  ] StepGpu.Replays (7 ms)
[  FAILED  ] Suite/StepGpu.Other/0, where GetParam() = 1 (7 ms)
Test Failed.
"""


def figures(rate, **more):
    return {"images_per_second": rate, "step_ms": 1000 * 256 / rate, "peak_mib": 9000, **more}


class GpuReport(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)

    def tearDown(self):
        self.temporary.cleanup()

    def put(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)

    def put_stages(self, *rows):
        self.put("stages.tsv", "".join("\t".join(map(str, row)) + "\n" for row in rows))

    def put_round(self, who, number, rate, **more):
        self.put(f"{who}.50_32x4d.{number}.json", figures(rate, **more))

    def report(self):
        code = gpu_report.main([str(self.folder), str(self.folder / "out.json")])
        return code, json.loads((self.folder / "out.json").read_text())

    def test_medians_of_rounds_and_ratios(self):
        self.put_stages(("build", 80, 0, ""), ("ours.50_32x4d.1", 20, 0, ""))
        for number, rate in enumerate((2000, 2200, 2100), 1):
            self.put_round("ours", number, rate, tflops=50, batch=256, graph=True, forward_ms=3)
        self.put_round("eager", 1, 1000)
        self.put_round("compile", 1, 1400)
        self.put_round("sums", 1, 2310)
        self.put_round("phases", 1, 900, forward_ms=30, backward_ms=70, exposed_comm_ms=0,
                       optimizer_ms=2, graph=False, batch=256)
        code, made = self.report()
        it = made["networks"]["50_32x4d"]
        self.assertEqual(code, 0)
        self.assertEqual(it["ours"]["images_per_second"], 2100)
        self.assertEqual(it["ours"]["rounds"], [2000, 2200, 2100])
        self.assertEqual(it["ratio_to_eager"], 2.1)
        self.assertEqual(it["ratio_to_compile"], 1.5)
        self.assertEqual(it["ratio_of_fused_convolutions"], 1.1)
        self.assertIn("1.10 times as fast", gpu_report.table(made))
        self.assertEqual(it["phases"]["forward_ms"], 30)
        self.assertEqual(it["phases_of"], "eager run")
        self.assertIs(it["graph"], True)
        self.assertIs(it["free_of_synchronisation"], True)
        self.assertNotIn("tflops", it["eager"])
        self.assertIn("2100", gpu_report.table(made))

    def test_floors_stand_beside_the_figures(self):
        self.put_stages(("ours.50_32x4d.1", 20, 0, ""), ("layers.50_32x4d.1", 20, 0, ""))
        self.put_round("ours", 1, 2560)  # 100 ms
        self.put("layers.50_32x4d.1.json", {
            "matrix_tflops": 700, "copy_gb_per_s": 3000, "ms": 90, "floor_ms": 40,
            "kinds": {"1x1": {"layers": 36, "left_out": 0, "ms": 30, "floor_ms": 20},
                      "batch norm": {"layers": 53, "left_out": 0, "ms": 50, "floor_ms": 15},
                      "pool": {"layers": 2, "left_out": 1, "ms": 10, "floor_ms": 5}}})
        made = self.report()[1]
        it = made["networks"]["50_32x4d"]
        self.assertEqual(it["over_floor"], 2.5)
        self.assertEqual(it["layers"]["kinds"]["1x1"]["over_floor"], 1.5)
        self.assertIsNone(it["layers"]["kinds"]["pool"]["over_floor"], "not all were measured")
        text = gpu_report.table(made)
        self.assertIn("products 700 TFLOP/s, copies 3000 GB/s", text)
        order = [text.index(kind) for kind in ("batch norm", "1x1", "pool")]
        self.assertEqual(order, sorted(order), "what can be gained most comes first")

    def test_without_floors_the_figures_stand_alone(self):
        self.put_stages(("ours.50_32x4d.1", 20, 0, ""))
        self.put_round("ours", 1, 2560)
        made = self.report()[1]
        self.assertIsNone(made["networks"]["50_32x4d"]["over_floor"])
        self.assertNotIn("floors", gpu_report.table(made))

    def test_phases_come_from_the_graph_where_there_is_no_other_run(self):
        self.put_stages(("ours.50_32x4d.1", 20, 0, ""))
        self.put_round("ours", 1, 2000, forward_ms=3, graph=True)
        it = self.report()[1]["networks"]["50_32x4d"]
        self.assertEqual((it["phases"]["forward_ms"], it["phases_of"]), (3, "graph"))

    def test_a_failed_stage_loses_nothing_of_the_others(self):
        self.put_stages(("tests", 9, 8, ""), ("ours.50_32x4d.1", 3, 70, ""),
                        ("eager.50_32x4d.1", 9, 0, ""), ("ours.101_32x4d.1", 0, "-", "skipped"))
        self.put("ours.50_32x4d.1.log", "error: called a synchronizing CUDA operation\n")
        self.put("ours.50_32x4d.1.json", "{")
        self.put_round("eager", 1, 1000)
        code, made = self.report()
        self.assertEqual(code, 1)
        self.assertEqual(made["failed"], ["tests", "ours.50_32x4d.1"])
        self.assertEqual(made["skipped"], ["ours.101_32x4d.1"])
        self.assertEqual(made["tests"]["exit_code"], 8)
        self.assertIsNone(made["networks"]["50_32x4d"]["ours"])
        self.assertIs(made["networks"]["50_32x4d"]["free_of_synchronisation"], False)
        self.assertEqual(made["networks"]["50_32x4d"]["eager"]["images_per_second"], 1000)
        self.assertIsNone(made["networks"]["101_32x4d"]["free_of_synchronisation"])
        self.assertIn("failed: tests", gpu_report.table(made))

    def test_skipped_rounds_fail_nothing(self):
        self.put_stages(("build", 80, 0, ""), ("compile.50_32x4d.2", 0, "-", "skipped: no time"))
        code, made = self.report()
        self.assertEqual(code, 0)
        self.assertEqual(made["skipped"], ["compile.50_32x4d.2"])
        self.assertEqual(made["stages"][1]["note"], "skipped: no time")

    def test_tests_are_counted_by_case(self):
        self.put_stages(("tests", 9, 8, ""))
        self.put("ctest.txt", CTEST)
        made = self.report()[1]["tests"]
        self.assertEqual((made["programs"], made["programs_failed"]), (3, ["step"]))
        self.assertEqual((made["cases_passed"], made["cases_failed"], made["cases_skipped"]),
                         (2, 2, 1))
        self.assertEqual(made["skip_reasons"], ["needs a GPU for each rank"])
        self.assertEqual(made["failures"], ["StepGpu.Replays", "Suite/StepGpu.Other/0"])
        self.assertIn("/src/step.cpp:3: Failure", made["output_of_failed"]["step"])

    def test_the_machine(self):
        self.put_stages(("build", 80, 0, ""))
        self.put("gpu.csv", "NVIDIA H100 80GB HBM3, 580.1, 81559 MiB, 9.0\n")
        self.put("torch.json", {"torch": "2.11.0", "cuda": "13.0", "cudnn": 91900, "nccl": "2.28.9"})
        self.put("libraries.txt", "\tlibnccl.so.2 => /usr/lib/libnccl.so.2 (0x1)\n\tlibm.so.6 => x\n")
        made = self.report()[1]["machine"]
        self.assertEqual((made["gpu"], made["driver"], made["gpus"]),
                         ("NVIDIA H100 80GB HBM3", "580.1", 1))
        self.assertEqual((made["torch"], made["cudnn"]), ("2.11.0", 91900))
        self.assertEqual(len(made["libraries"]), 1)

    def test_an_empty_folder_gives_an_empty_report(self):
        code, made = self.report()
        self.assertEqual(code, 0)
        self.assertEqual(made["networks"], {})
        self.assertIsNone(made["machine"]["gpu"])


if __name__ == "__main__":
    unittest.main()
