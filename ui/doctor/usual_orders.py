"""What is ordered most in a general practice, offered until the doctor's own orders say better: English sentence id and
the LOINC code of the panel or examination."""

USUAL: dict[str, tuple[tuple[str, str], ...]] = {
    "laboratory": (
        ("Complete blood count", "58410-2"),
        ("Fasting glucose", "1558-6"),
        ("HbA1c", "4548-4"),
        ("Creatinine", "2160-0"),
        ("Electrolytes (Na, K, Cl)", "24326-1"),
        ("Lipid panel", "57698-3"),
        ("Liver tests", "24325-3"),
        ("CRP", "1988-5"),
        ("TSH", "3016-3"),
        ("Ferritin", "2276-4"),
        ("Urine analysis", "24356-8"),
        ("Malaria smear", "32700-7"),
    ),
    "imaging": (
        ("Chest X-ray", "36643-5"),
        ("Abdominal ultrasound", "24558-9"),
        ("Pelvic ultrasound", "24869-0"),
        ("Echocardiography", "34552-0"),
        ("ECG", "11524-6"),
        ("Mammography", "24606-6"),
    ),
    "referral": (
        ("Cardiology", ""),
        ("Gynecology", ""),
        ("Ophthalmology", ""),
        ("Dermatology", ""),
        ("Endocrinology", ""),
        ("Emergency department", ""),
    ),
}
